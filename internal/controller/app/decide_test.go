package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

const uid = "uid-1"

// world is what the watches know in a test.
type world map[manifest.Ref]manifest.Live

func (w world) Live(ref manifest.Ref) (manifest.Live, bool) {
	live, ok := w[ref]
	return live, ok
}

func deployment(name string) manifest.Ref {
	return manifest.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: name}
}

func entry(name string) v1alpha1.InventoryEntry {
	return v1alpha1.InventoryEntry{ID: deployment(name).ID(), UID: "u-" + name, Desired: "d", Baseline: "b"}
}

func live(name string, mods ...func(*manifest.Live)) manifest.Live {
	l := manifest.Live{
		Ref: deployment(name), UID: "u-" + name, Owned: true, Owner: manifest.Owner{UID: uid}, Baseline: "b", Health: v1alpha1.Healthy,
	}
	for _, mod := range mods {
		mod(&l)
	}
	return l
}

func TestLook(t *testing.T) {
	cases := map[string]struct {
		reason  string
		live    []manifest.Live
		drifted []manifest.Ref
		unready []manifest.Ref
		health  v1alpha1.HealthStatus
	}{
		"Well":      {"nothing to say", []manifest.Live{live("a"), live("b")}, nil, nil, v1alpha1.Healthy},
		"Gone":      {"an object that is not there has drifted and is missing", []manifest.Live{live("a")}, []manifest.Ref{deployment("b")}, []manifest.Ref{deployment("b")}, v1alpha1.Missing},
		"Changed":   {"another baseline is drift", []manifest.Live{live("a"), live("b", func(l *manifest.Live) { l.Baseline = "x" })}, []manifest.Ref{deployment("b")}, nil, v1alpha1.Healthy},
		"Unmarked":  {"an object robbed of its mark has drifted", []manifest.Live{live("a"), live("b", func(l *manifest.Live) { l.Owned = false })}, []manifest.Ref{deployment("b")}, nil, v1alpha1.Healthy},
		"Taken":     {"an object with the mark of another App has drifted", []manifest.Live{live("a"), live("b", func(l *manifest.Live) { l.Owner.UID = "other" })}, []manifest.Ref{deployment("b")}, nil, v1alpha1.Healthy},
		"MadeAnew":  {"an object of the same name with another UID has drifted", []manifest.Live{live("a"), live("b", func(l *manifest.Live) { l.UID = "new" })}, []manifest.Ref{deployment("b")}, nil, v1alpha1.Healthy},
		"Unhealthy": {"the worst health counts", []manifest.Live{live("a", func(l *manifest.Live) { l.Health = v1alpha1.Progressing }), live("b", func(l *manifest.Live) { l.Health = v1alpha1.Degraded })}, nil, []manifest.Ref{deployment("a"), deployment("b")}, v1alpha1.Degraded},
		"Deleting":  {"an object on its way out is progressing", []manifest.Live{live("a"), live("b", func(l *manifest.Live) { l.Deleting = true })}, nil, []manifest.Ref{deployment("b")}, v1alpha1.Progressing},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := world{}
			for _, l := range tc.live {
				w[l.Ref] = l
			}
			got, err := look(uid, []v1alpha1.InventoryEntry{entry("a"), entry("b")}, w)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.drifted, got.drifted); diff != "" {
				t.Errorf("%s: drifted: -want +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.unready, got.unready); diff != "" {
				t.Errorf("%s: unready: -want +got:\n%s", tc.reason, diff)
			}
			if got.health != tc.health {
				t.Errorf("%s: health is %s, want %s", tc.reason, got.health, tc.health)
			}
		})
	}
}

// synced is an App that has nothing to do.
func synced(mods ...func(*v1alpha1.App)) *v1alpha1.App {
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: "cart.dev.shop", Namespace: "sengu", UID: uid, Generation: 3}}
	app.Spec.Source = v1alpha1.AppSource{Revision: "r2", Cluster: "dev"}
	app.Status = v1alpha1.AppStatus{ObservedGeneration: 3, Revision: "r2", Sync: v1alpha1.Synced, Inventory: []v1alpha1.InventoryEntry{entry("a")}}
	for _, mod := range mods {
		mod(app)
	}
	return app
}

func TestDecide(t *testing.T) {
	off := false
	drift := picture{drifted: []manifest.Ref{deployment("a")}}
	unready := picture{unready: []manifest.Ref{deployment("a")}}
	annotate := func(key, value string) func(*v1alpha1.App) {
		return func(a *v1alpha1.App) { a.Annotations = map[string]string{key: value} }
	}
	behind := func(a *v1alpha1.App) { a.Status.Revision = "r1" }
	waits := func(a *v1alpha1.App) {
		a.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: reasonWave}}
	}
	inWave := func(a *v1alpha1.App) { behind(a); waits(a) }
	unfinished := func(pin string) func(*v1alpha1.App) {
		return func(a *v1alpha1.App) { a.Status.Unfinished = &v1alpha1.Unfinished{Pinned: pin} }
	}
	pinned := func(a *v1alpha1.App) { a.Status.Pinned = "x:pr" }
	pending := func(a *v1alpha1.App) { a.Status.PendingRemoval = &v1alpha1.PendingRemoval{Token: "abc"} }

	cases := map[string]struct {
		reason string
		app    *v1alpha1.App
		seen   picture
		notDue bool
		pin    string
		sync   bool
		resend bool
	}{
		"Rest":               {reason: "an App that is as it should be costs nothing", app: synced()},
		"SpecChanged":        {reason: "a new spec is acted on even while a failed try waits", app: synced(func(a *v1alpha1.App) { a.Generation = 4 }), notDue: true, sync: true},
		"Drift":              {reason: "drift is undone", app: synced(), seen: drift, sync: true},
		"DriftSelfHealOff":   {reason: "drift is left where selfHeal is off", app: synced(func(a *v1alpha1.App) { a.Spec.SelfHeal = &off }), seen: drift},
		"DriftNotDue":        {reason: "a repair that failed waits for its turn", app: synced(), seen: drift, notDue: true},
		"Unhealthy":          {reason: "bad health is reported and costs no write", app: synced(), seen: unready},
		"Incomplete":         {reason: "a revision that was not applied whole goes on", app: synced(behind), sync: true},
		"IncompleteNotDue":   {reason: "unless its last try failed just now", app: synced(behind), notDue: true},
		"WaveNotReady":       {reason: "a wave that is not healthy is waited for without rendering", app: synced(inWave), seen: unready},
		"WaveReady":          {reason: "a wave that became healthy lets the next begin", app: synced(inWave), sync: true},
		"PinBegins":          {reason: "a pin is acted on even while a failed try waits", app: synced(), notDue: true, pin: "x:pr", sync: true},
		"PinEnds":            {reason: "and so is its end", app: synced(pinned), notDue: true, sync: true},
		"Pinned":             {reason: "a pin that goes on costs nothing", app: synced(pinned), pin: "x:pr"},
		"PinInPart":          {reason: "a pin that is not everywhere goes on", app: synced(pinned, unfinished("x:pr")), pin: "x:pr", sync: true},
		"PinInPartNotDue":    {reason: "unless its last try failed just now", app: synced(pinned, unfinished("x:pr")), notDue: true, pin: "x:pr"},
		"PinInWave":          {reason: "the wave of a pin is waited for", app: synced(waits, pinned, unfinished("x:pr")), seen: unready, pin: "x:pr"},
		"PinEndsInWave":      {reason: "but not once the pin has ended", app: synced(waits, pinned, unfinished("x:pr")), seen: unready, sync: true},
		"PinBackInPart":      {reason: "a pin that is not gone everywhere goes on going", app: synced(pinned, unfinished("")), sync: true},
		"PinBackNotDue":      {reason: "unless its last try failed just now", app: synced(pinned, unfinished("")), notDue: true},
		"Unfinished":         {reason: "so does what changed at the same revision", app: synced(unfinished("")), sync: true},
		"SyncAsked":          {reason: "a person's sync sends everything again", app: synced(annotate(AnnotationSync, "now")), sync: true, resend: true},
		"SyncHandled":        {reason: "and only once", app: synced(annotate(AnnotationSync, "now"), func(a *v1alpha1.App) { a.Status.HandledSync = "now" })},
		"Confirmed":          {reason: "a confirmed deletion goes on", app: synced(pending, annotate(manifest.AnnotationConfirm, "abc")), sync: true},
		"ConfirmedAnother":   {reason: "a token for another deletion does nothing", app: synced(pending, annotate(manifest.AnnotationConfirm, "xyz"))},
		"Removing":           {reason: "an App that is being removed goes on while it has objects", app: synced(func(a *v1alpha1.App) { a.Spec.Removal = v1alpha1.RemovalApproved }), sync: true},
		"Removed":            {reason: "and rests when it has none", app: synced(func(a *v1alpha1.App) { a.Spec.Removal = v1alpha1.RemovalApproved; a.Status.Inventory = nil })},
		"RemovalUnconfirmed": {reason: "or waits for a person", app: synced(pending, func(a *v1alpha1.App) { a.Spec.Removal = v1alpha1.RemovalApproved })},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := decide(tc.app, tc.seen, !tc.notDue, tc.pin)
			if got.Sync != tc.sync || got.Resend != tc.resend {
				t.Errorf("%s: got %+v, want sync %v, resend %v", tc.reason, got, tc.sync, tc.resend)
			}
		})
	}
}

func TestTries(t *testing.T) {
	var book tries
	app := types.NamespacedName{Name: "a"}
	now := time.Unix(1_800_000_000, 0)
	if !book.due(app, 1, now) {
		t.Error("an App that never failed is not due")
	}
	first := book.failed(app, 1, true, now)
	if book.due(app, 1, now) {
		t.Error("an App that failed just now is due")
	}
	if !book.due(app, 2, now) {
		t.Error("a new spec waits for the failure of the old one")
	}
	if !book.due(app, 1, now.Add(first)) {
		t.Error("the wait never ends")
	}
	if second := book.failed(app, 1, true, now); second != 2*first {
		t.Errorf("the second wait is %s, want twice %s", second, first)
	}
	if wait := book.failed(app, 2, false, now); wait != lastRetry {
		t.Errorf("what only a commit can mend is tried again after %s, want %s", wait, lastRetry)
	}
	if wait, waits := book.wait(app, now.Add(lastRetry)); waits {
		t.Errorf("a wait that is over goes on for %s", wait)
	}
	book.done(app)
	if _, waits := book.wait(app, now); waits {
		t.Error("an App that succeeded still waits")
	}
}

func TestAFailureStandsUntilTheNextTry(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := &Reconciler{Now: func() time.Time { return now }}
	app := synced(func(a *v1alpha1.App) {
		a.Status.Sync = v1alpha1.OutOfSync
		a.Status.Why = &v1alpha1.Why{Message: "the API server refuses it"}
	})
	key := types.NamespacedName{Namespace: app.Namespace, Name: app.Name}
	wait := r.tries.failed(key, app.Generation, true, now)

	// Drift could not be undone: it is still there, and a watch wakes the App before the next try.
	result := r.rest(t.Context(), app, nil, picture{drifted: []manifest.Ref{deployment("a")}, health: v1alpha1.Healthy})
	if app.Status.Sync != v1alpha1.OutOfSync || app.Status.Why == nil {
		t.Errorf("the App claims to be %s, because of %v", app.Status.Sync, app.Status.Why)
	}
	if result.RequeueAfter != wait {
		t.Errorf("the next try is after %s, want %s", result.RequeueAfter, wait)
	}

	// Somebody else has put it right meanwhile.
	now = now.Add(wait)
	if result := r.rest(t.Context(), app, nil, picture{health: v1alpha1.Healthy}); result.RequeueAfter != 0 {
		t.Errorf("an App that needs nothing is looked at again after %s", result.RequeueAfter)
	}
	if app.Status.Sync != v1alpha1.Synced || app.Status.Why != nil {
		t.Errorf("the App is %s because of %v, want synced", app.Status.Sync, app.Status.Why)
	}
}
