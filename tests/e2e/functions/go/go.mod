module watcher

go 1.22
