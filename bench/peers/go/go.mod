module virbus.example/bench

go 1.24.0

require github.com/digitalocean/go-libvirt v0.0.0-20260217163227-273eaa321819

require (
	golang.org/x/crypto v0.48.0 // indirect
	golang.org/x/sys v0.41.0 // indirect
)
