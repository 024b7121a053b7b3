// A client that trusts what the machine trusts, and the server that it talks to: both in one program, so that it needs
// no network. The server's certificate is signed by an authority of our own, for tests alone.
package main

import (
	"crypto/tls"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"os"
)

//go:embed certificates/server.pem
var certificate []byte

//go:embed certificates/server.key
var key []byte

func main() {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		fail(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	server := &http.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go server.ServeTLS(listener, "", "")
	answer, err := http.Get("https://" + listener.Addr().String())
	if err != nil {
		fail(err)
	}
	answer.Body.Close()
	fmt.Println("verified:", answer.TLS.PeerCertificates[0].Subject.CommonName)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
