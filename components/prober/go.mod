module multimaster.test/prober

go 1.26
