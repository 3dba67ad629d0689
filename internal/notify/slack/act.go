package slack

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/sengu-dev/sengu/internal/notify"
)

const (
	// actors is how many presses are acted upon at once.
	actors = 4
	// actTime bounds one press, and lastTime those that are left when Run ends.
	actTime, lastTime = 30 * time.Second, 3 * time.Second
	// maxAnswerText is the longest answer to a person, in characters.
	maxAnswerText = 1000
)

// Run acts on what was pressed, until the context ends. Whoever waits then is told that nothing happened.
func (h *Handler) Run(ctx context.Context) {
	h.setClosed(false)
	var wg sync.WaitGroup
	for range actors {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case p := <-h.queue:
					h.handle(ctx, p)
				}
			}
		})
	}
	<-ctx.Done()
	h.setClosed(true)
	wg.Wait()
	h.drain(context.WithoutCancel(ctx))
	h.http.CloseIdleConnections()
}

func (h *Handler) setClosed(closed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = closed
}

func (h *Handler) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastTime)
	defer cancel()
	for {
		select {
		case p := <-h.queue:
			h.answer(ctx, p, "Nothing happened, because Sengu is being restarted. Press again in a minute.")
		default:
			return
		}
	}
}

// handle acts on one press and tells the person. One that has begun is brought to its end also when Run is stopped.
func (h *Handler) handle(ctx context.Context, p press) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actTime)
	defer cancel()
	h.answer(ctx, p, h.act(ctx, p))
}

// act does what was asked, and returns the sentence for the person.
func (h *Handler) act(ctx context.Context, p press) (sentence string) {
	log := h.opts.Logger.With("user", p.user, "verb", p.action.Verb, "fleet", p.action.Fleet, "release", p.action.Release, "environment", p.action.Environment)
	defer func() {
		if recovered := recover(); recovered != nil {
			// What was panicked with is left out, since it may hold anything.
			log.Error("button of Slack panicked", "stack", string(debug.Stack()))
			sentence = "Something is wrong in Sengu. Look at what became of it before you press again."
		}
	}()
	if p.problem != "" {
		log.Warn("button of Slack refused", "reason", p.problem)
		return "Nothing happened: " + escape(p.problem, maxAnswerText) + "."
	}
	person, known, err := h.person(ctx, p)
	switch {
	case err != nil:
		log.Error("button of Slack failed, because it is not known who pressed it", "error", err)
		return "Nothing happened, because Sengu could not find out who you are. Press again later."
	case !known:
		log.Warn("button of Slack refused: the person is unknown")
		return "Nothing happened, because Sengu does not know you. Ask whoever runs it to add " + p.user + " to the identities of this channel."
	}
	a := p.action
	a.Person, a.Groups = person.User, person.Groups
	if err := h.opts.Act(ctx, a); err != nil {
		log.Warn("button of Slack had no effect", "person", a.Person, "error", err)
		return "Not done: " + escape(err.Error(), maxAnswerText)
	}
	log.Info("button of Slack", "person", a.Person, "service", a.Service, "group", a.Group)
	return outcomes[a.Verb] + " " + escape(subject(a), 200) + " in " + escape(a.Environment, 60) + "."
}

// outcomes begin the sentence for a person whose press had an effect.
var outcomes = map[Verb]string{Approve: "You approved", Hold: "You hold", RollBack: "You rolled back"}

func subject(a Action) string {
	if a.Release == "" {
		return "every service of " + a.Group
	}
	return a.Service
}

func (h *Handler) person(ctx context.Context, p press) (Person, bool, error) {
	if p.desk.Identities == nil || p.desk.Team != "" && p.team != p.desk.Team {
		return Person{}, false, nil
	}
	person, known, err := p.desk.Identities.Person(ctx, p.user)
	if err == nil && known && person.User == "" {
		err = errors.New("the identity has no user")
	}
	return person, known, err
}

// answer tells the person alone, at the address that Slack gave. The message itself is changed by the event that follows.
func (h *Handler) answer(ctx context.Context, p press, sentence string) {
	if !strings.HasPrefix(p.answer, cmp.Or(p.desk.ResponsePrefix, "https://hooks.slack.com/")) {
		h.opts.Logger.Warn("a person in Slack is not answered, because the address is not one of Slack's", "user", p.user)
		return
	}
	_, _, err := newClient("", "", h.http).PostMessageContext(ctx, p.channel,
		slackgo.MsgOptionResponseURL(p.answer, slackgo.ResponseTypeEphemeral), slackgo.MsgOptionText(sentence, false))
	if err != nil {
		h.opts.Logger.Warn("a person in Slack is not answered", "user", p.user, "error", explain(err))
	}
}

// compile-time checks: what the dispatcher looks for by type.
var (
	_ notify.Follower = (*Sink)(nil)
	_ IdentityMap     = (*Identities)(nil)
)
