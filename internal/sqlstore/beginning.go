package sqlstore

import (
	"context"

	"github.com/sengu-dev/sengu/internal/history"
)

// selectBeginnings finds the oldest event of each place. It goes through the index from one place to the first event of the
// next, so that what it costs grows with the places and not with the events.
const selectBeginnings = `WITH RECURSIVE oldest (seq) AS (
		SELECT (SELECT seq FROM events WHERE environment <> '' ORDER BY fleet, service, environment, time LIMIT 1)
		UNION ALL
		SELECT (SELECT n.seq FROM events n
			WHERE n.environment <> '' AND (n.fleet, n.service, n.environment) > (e.fleet, e.service, e.environment)
			ORDER BY n.fleet, n.service, n.environment, n.time LIMIT 1)
		FROM oldest JOIN events e ON e.seq = oldest.seq)
	SELECT (SELECT body FROM events WHERE events.seq = oldest.seq) FROM oldest WHERE seq IS NOT NULL`

// Beginnings returns since when there are events of each service in each environment: of those that the Fleet, Service and
// Environment of the filter name. The rest of the filter asks nothing.
func (s *Store) Beginnings(ctx context.Context, f history.Filter) ([]history.Beginning, error) {
	place := history.Filter{Fleet: f.Fleet, Service: f.Service, Environment: f.Environment}
	var beginnings []history.Beginning
	err := s.view(ctx, "read since when there are events", func(ctx context.Context, q queries) error {
		events, err := readEvents(ctx, q, selectBeginnings)
		beginnings = nil
		for _, e := range events {
			if place.Match(e) {
				beginnings = append(beginnings, history.Beginning{Fleet: e.Fleet, Service: e.Service, Environment: e.Environment, Time: e.Time})
			}
		}
		return err
	})
	return beginnings, err
}
