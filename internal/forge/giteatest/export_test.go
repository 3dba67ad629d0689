package giteatest

// Dir is where the server keeps its files.
func (s *Server) Dir() string { return s.dir }
