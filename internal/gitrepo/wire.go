package gitrepo

type wire struct{}
