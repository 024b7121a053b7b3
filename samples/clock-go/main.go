// What time it was when a moment of the past passed, in the zone that is asked for.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: clock-go ZONE, for example Europe/Berlin")
		os.Exit(2)
	}
	zone, err := time.LoadLocation(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(time.Unix(1700000000, 0).In(zone).Format("2006-01-02 15:04:05 MST"))
}
