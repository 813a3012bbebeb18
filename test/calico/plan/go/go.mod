module wireguard-ts/test/calico/plan

go 1.19

require github.com/go-ini/ini v1.67.0
