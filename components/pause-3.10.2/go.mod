module multimaster.kubernetes/components/pause-3.10.2

go 1.26.0
