// What Go makes of texts: an address, a CIDR, a key. One JSON array of texts on stdin, one of results on stdout.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
)

type result struct {
	IP, CIDR, Key string
}

// IPv4 as 4 bytes, as Calico's libraries make it.
func shown(ip net.IP) string {
	if four := ip.To4(); four != nil {
		ip = four
	}
	return hex.EncodeToString(ip)
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		panic(err)
	}
	results := []result{}
	for _, text := range texts {
		var found result
		if ip := net.ParseIP(text); ip != nil {
			found.IP = shown(ip)
		}
		if ip, network, err := net.ParseCIDR(text); err == nil {
			ones, bits := network.Mask.Size()
			found.CIDR = fmt.Sprintf("%s/%d of %d", shown(ip), ones, bits)
		}
		if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == 32 {
			found.Key = hex.EncodeToString(key)
		}
		results = append(results, found)
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}
