"""The sources of the small programs that the tests build: each shows one hazard."""

from __future__ import annotations

HELLO_C = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'
HELLO_CPP = '#include <iostream>\nint main() { std::cout << "hello\\n"; }\n'


def _go(imports: str, body: str) -> str:
    lines = "".join(f'\t"{name}"\n' for name in imports.split())
    return (
        f"package main\n\nimport (\n{lines})\n\n"
        f"func check(e error) {{\n\tif e != nil {{\n\t\tfmt.Println(e)\n\t\tos.Exit(1)\n\t}}\n}}\n\n"
        f"func main() {{\n{body}\n}}\n"
    )


PLAIN_GO = "package main\n\nfunc main() {}\n"
"""For what a start alone shows on another CPU or system: for each of them go compiles what it imports anew."""
HELLO_GO = _go("fmt os time", 'check(nil)\nfmt.Println("hello", time.Now().Local().Year() > 2000)')
GO_ZONE = _go("fmt os time", '_, e := time.LoadLocation("Europe/Berlin")\ncheck(e)')
GO_LOCAL = _go("fmt os time", 'check(nil)\nfmt.Println(time.Unix(1700000000, 0).Format("15:04"))')
GO_USER = _go(
    "fmt os os/user",
    "if len(os.Args) > 1 {\n_, e := user.Lookup(os.Args[1])\ncheck(e)\n} else {\n_, e := user.Current()\ncheck(e)\n}",
)
GO_CURRENT_USER = _go("fmt os os/user", "_, e := user.Current()\ncheck(e)")
GO_GROUP = _go("fmt os os/user", '_, e := user.LookupGroup("root")\ncheck(e)')
GO_GROUP_ID = _go("fmt os os/user", '_, e := user.LookupGroupId("0")\ncheck(e)')
GO_PORT = _go("fmt net os", '_, e := net.LookupPort("tcp", os.Args[len(os.Args)-1])\ncheck(e)')
GO_LOOK_PATH = _go("fmt os os/exec", '_, e := exec.LookPath("child")\ncheck(e)')
GO_START = _go("fmt os", '_, e := os.StartProcess("/bin/child", nil, &os.ProcAttr{})\ncheck(e)')
GO_TEMP_FILE = _go("fmt os", '_, e := os.CreateTemp("", "x")\ncheck(e)')
GO_TEMP_FOLDER = _go("fmt os", '_, e := os.MkdirTemp("", "x")\ncheck(e)')
GO_TEMP_NAME = _go("fmt os", 'check(os.WriteFile(os.TempDir()+"/x", nil, 0o600))')
GO_LISTEN_IP = _go("fmt net os", "_, e := net.ListenIP(os.Args[len(os.Args)-1], nil)\ncheck(e)")
GO_DIAL = _go("fmt net os", '_, e := net.Dial("udp", "127.0.0.1:9")\ncheck(e)')
GO_EXEC = _go("fmt os os/exec", 'check(exec.Command("child").Run())')
GO_PLUGIN = _go("fmt os plugin", '_, e := plugin.Open("/x.so")\ncheck(e)')
_STUB = "Binary was compiled with 'CGO_ENABLED=0', the driver requires cgo to work. This is a stub"
GO_STUB = _go("errors fmt os", f'check(errors.New("{_STUB}"))')
GO_TLS = _go(
    "crypto/ecdsa crypto/elliptic crypto/rand crypto/tls crypto/x509 fmt math/big os time",
    """key, e := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
check(e)
plan := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"example.org"},
    NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
cert, e := x509.CreateCertificate(rand.Reader, &plan, &plan, &key.PublicKey, key)
check(e)
server := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
listener, e := tls.Listen("unix", "@trial", server)
check(e)
go func() {
    for {
        peer, e := listener.Accept()
        check(e)
        peer.(*tls.Conn).Handshake()
    }
}()
_, e = tls.Dial("unix", "@trial", &tls.Config{ServerName: "example.org"})
check(e)""",
)

C_USER = r"""
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
int main(int count, char **args) {
    errno = 0;
    if (getpwnam(count > 1 ? args[1] : "root")) return 0;
    printf("%s\n", strerror(errno));
    return 1;
}
"""
C_USERS = r"""
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    errno = 0;
    if (getpwent()) return 0;
    printf("%s\n", strerror(errno));
    return 1;
}
"""
C_SERVICE = r"""
#include <netdb.h>
#include <stdio.h>
int main(int count, char **args) {
    struct addrinfo want = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo("127.0.0.1", args[count - 1], &want, &found);
    if (error) printf("%s\n", gai_strerror(error));
    return error != 0;
}
"""
C_PROTOCOL = r"""
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
int main(int count, char **args) {
    errno = 0;
    if (getprotobyname(count > 1 ? args[1] : "tcp")) return 0;
    puts(strerror(errno));
    return 1;
}
"""
C_SERVICE_NAME = r"""
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
int main(int count, char **args) {
    errno = 0;
    if (getservbyname(count > 1 ? args[1] : "http", "tcp")) return 0;
    puts(strerror(errno));
    return 1;
}
"""
C_ZONE = r"""
#include <stdio.h>
#include <time.h>
int main(void) {
    time_t then = 1700000000;
    char text[99];
    strftime(text, sizeof text, "%H:%M %Z", localtime(&then));
    puts(text);
}
"""
C_CTIME = r"""
#include <stdio.h>
#include <time.h>
int main(void) { time_t then = 1700000000; fputs(ctime(&then), stdout); }
"""
C_ZONE_R = r"""
#include <stdio.h>
#include <time.h>
int main(void) {
    time_t then = 1700000000;
    struct tm parts;
    char text[99];
    strftime(text, sizeof text, "%H:%M %Z", localtime_r(&then, &parts));
    puts(text);
}
"""
C_TEMP = r"""
#include <stdio.h>
int main(void) {
    if (tmpfile()) return 0;
    perror("tmpfile");
    return 1;
}
"""
C_SYSTEM = r"""
#include <stdio.h>
#include <stdlib.h>
int main(void) { int end = system("true"); printf("system returns %d\n", end); return end != 0; }
"""
C_POPEN = r"""
#include <stdio.h>
int main(void) {
    FILE *pipe = popen("exit 3", "r");
    if (pipe) return pclose(pipe) ? 0 : 1;
    puts("popen returns NULL");
    return 1;
}
"""
C_SPAWN = r"""
#include <spawn.h>
#include <unistd.h>
int main(int count, char **args) {
    pid_t child;
    return count > 1 && (execvp(args[1], args + 1) || posix_spawnp(&child, args[1], 0, 0, args + 1, 0));
}
"""
C_LOCALE = r"""
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
int main(void) {
    if (!setlocale(LC_ALL, "")) printf("setlocale returns NULL: ");
    puts(nl_langinfo(CODESET));
}
"""
C_UTF8 = r"""
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
int main(void) {
    if (!setlocale(LC_ALL, "en_US.UTF-8") && !setlocale(LC_ALL, "C.UTF-8")) setlocale(LC_ALL, "");
    puts(nl_langinfo(CODESET));
}
"""
C_MKSTEMP = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
const char *folder = "/tmp/";
int main(void) {
    char name[99];
    strcat(strcpy(name, folder), "XXXXXX");
    if (mkstemp(name) >= 0) return 0;
    perror("mkstemp");
    return 1;
}
"""
C_TEMPNAM = r"""
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    if (tempnam(0, "x")) return 0;
    perror("tempnam");
    return 1;
}
"""
CPP_LOCALE = r"""
#include <iostream>
#include <locale>
int main() { std::locale::global(std::locale("de_DE.UTF-8")); std::cout << "ok\n"; }
"""
C_DLOPEN = r"""
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    if (dlopen("libm.so.6", RTLD_NOW)) return 0;
    puts(dlerror());
    return 1;
}
"""
C_ICONV = r"""
#include <iconv.h>
#include <stdio.h>
int main(void) {
    if (iconv_open("UTF-16", "ISO-8859-15") != (iconv_t)-1) return 0;
    perror("iconv_open");
    return 1;
}
"""
C_AVX2 = r"""
#include <immintrin.h>
#include <stdio.h>
int main(int count, char **args) {
    __m256i a = _mm256_set1_epi32(count), b = _mm256_mullo_epi32(a, a);
    printf("%d\n", _mm256_extract_epi32(b, 3));
}
"""
C_WEAK = r"""
#include <stddef.h>
extern int pthread_create(void *, void *, void *(*)(void *), void *) __attribute__((weak));
static void *run(void *a) { return a; }
int main(void) { void *t; return pthread_create(&t, NULL, run, NULL); }
"""
C_THREAD = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void fill(volatile char *b, int n) { for (int i = n - 1; i >= 0; i -= 512) b[i] = 1; }
static void *run(void *a) { char b[1000000]; fill(b, sizeof b); free(malloc(100)); return a; }
int main(void) { pthread_t t; pthread_create(&t, 0, run, 0); pthread_join(t, 0); puts("ok"); return 0; }
"""
C_ALLOCATOR = r"""
static char heap[4096];
static size_t used;
void *malloc(size_t size) { void *given = heap + used; used += size + 15 & ~15; return given; }
void free(void *given) {}
"""
C_PAUSE = "#include <unistd.h>\nint main(void) { pause(); return 0; }\n"
C_HANDLER = r"""
#include <signal.h>
#include <unistd.h>
static void leave(int signal) { _exit(0); }
int main(void) { struct sigaction a = {.sa_handler = leave}; sigaction(SIGTERM, &a, 0); pause(); return 0; }
"""
C_OPENSSL = r"""
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
static X509 *make(EVP_PKEY *key, const char *name, X509_NAME *issuer, EVP_PKEY *signer) {
    X509 *c = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
    X509_gmtime_adj(X509_getm_notBefore(c), -3600);
    X509_gmtime_adj(X509_getm_notAfter(c), 3600);
    X509_set_pubkey(c, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC, (unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(c, issuer ? issuer : X509_get_subject_name(c));
    X509_sign(c, signer, EVP_sha256());
    return c;
}
int main(void) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *root = make(key, "root", 0, key), *leaf = make(key, "leaf", X509_get_subject_name(root), key);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_set_default_paths(store);
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    X509_STORE_CTX_init(check, store, leaf, 0);
    if (X509_verify_cert(check) == 1) return 0;
    puts(X509_verify_cert_error_string(X509_STORE_CTX_get_error(check)));
    return 1;
}
"""
C_LIBRARY_CALLER = "int verify(void);\nint main(void) { return verify(); }\n"
C_CURSES = """
#include <ncurses.h>
int main(void) { initscr(); endwin(); return 0; }
"""
C_SETUPTERM = """
#include <curses.h>
#include <term.h>
int main(void) { setupterm(0, 1, 0); return 0; }
"""
C_SQLITE = r"""
#include <sqlite3.h>
#include <stdio.h>
int main(void) {
    sqlite3 *data;
    char *error = 0;
    sqlite3_open(":memory:", &data);
    sqlite3_exec(data, "pragma temp_store=1; pragma cache_size=1; create temp table t(a);"
        "with recursive c(x) as (select 1 union all select x+1 from c where x<20000)"
        "insert into t select x || hex(zeroblob(100)) from c;", 0, 0, &error);
    if (error) puts(error);
    return error != 0;
}
"""
C_GNUTLS = r"""
#include <gnutls/gnutls.h>
#include <stdio.h>
int main(void) {
    gnutls_certificate_credentials_t own;
    gnutls_datum_t text;
    gnutls_certificate_allocate_credentials(&own);
    if (gnutls_certificate_set_x509_system_trust(own) > 0) return 0;
    unsigned status = GNUTLS_CERT_INVALID | GNUTLS_CERT_SIGNER_NOT_FOUND;
    gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
    puts((char *)text.data);
    return 1;
}
"""
