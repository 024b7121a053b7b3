// Hello is the smallest Go program that says something. It uses neither net nor os/user, so it is static
// even where cgo is on.
package main

import "fmt"

func main() {
	fmt.Println("Hello World!")
}
