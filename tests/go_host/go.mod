module weir.test/gohost

go 1.19
