module example.org/https

go 1.21
