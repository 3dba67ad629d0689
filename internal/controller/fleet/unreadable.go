package fleet

import (
	"fmt"
	"maps"
	"slices"
)

// unreadable returns the services of which a folder cannot be read, and takes them out of those that are to be looked at:
// nobody knows what of them is there. They are looked at anew once they can be read, since what commits change of them
// meanwhile is missed.
func (st *state) unreadable(concerned map[string]bool) map[string]error {
	unreadable := st.atlas.Unreadable()
	for service := range unreadable {
		delete(concerned, service)
		st.roster.suspect(service)
	}
	return unreadable
}

// unreadableWhy says which services are left alone, "" if none is.
func (st *state) unreadableWhy() string {
	unreadable := st.atlas.Unreadable()
	if len(unreadable) == 0 {
		return ""
	}
	first := slices.Min(slices.Collect(maps.Keys(unreadable)))
	why := fmt.Sprintf("service %s cannot be read, and is left as it is: %s", first, short(unreadable[first].Error()))
	if others := len(unreadable) - 1; others > 0 {
		why += fmt.Sprintf("; and %d others", others)
	}
	return why
}
