package auth

import (
	"slices"
	"strings"

	"github.com/nats-io/jwt/v2"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Domain is the name under which other accounts than that of the room services use its JetStream. The
// server answers $JS.API in each account itself, so the import has another name. It is the name of a
// JetStream domain to every client library.
const Domain = "roombus"

const (
	api      = "$JS.API."
	apiThere = "$JS." + Domain + ".API." // api, as other accounts name it
)

// Requests are the requests about rooms that an app or a client may be allowed to send.
func Requests() []string {
	return []string{
		subjects.Create, subjects.Update, subjects.Delete, subjects.Join, subjects.Leave, subjects.UpdateMember,
		subjects.Get, subjects.List, subjects.Members,
	}
}

// appStreams have the post-events of an app.
func appStreams() []string { return []string{subjects.Events, subjects.Replays} }

// readable are the streams that operators read.
func readable() []string {
	return []string{subjects.Events, subjects.Replays, subjects.DeadLetters, subjects.Rejections, subjects.GivenUp, subjects.AppsStream}
}

// appRequests are the requests about apps, without those of services to each other.
func appRequests() []string {
	return []string{
		subjects.Register, subjects.List, subjects.Info, subjects.Enable, subjects.Disable, subjects.Shadow,
		subjects.Rollback, subjects.Remove,
	}
}

// exports are the exports of the account of the room services. They do not depend on the apps: a change
// of this account would disturb requests in progress.
func exports() jwt.Exports {
	var all jwt.Exports
	stream := func(subject string) {
		all.Add(&jwt.Export{Name: subject, Subject: jwt.Subject(subject), Type: jwt.Stream})
	}
	service := func(subject string, replies jwt.ResponseType) {
		all.Add(&jwt.Export{Name: subject, Subject: jwt.Subject(subject), Type: jwt.Service, ResponseType: replies})
	}
	pre, retry := subjects.PresOf("*")
	stream(pre)
	stream(retry)
	stream("$SRV.>")
	service("$SRV.>", jwt.ResponseTypeStream)
	service(subjects.VerdictInboxOf("*")+".>", jwt.ResponseTypeSingleton)
	service(subjects.Dead("*", "*", "*"), jwt.ResponseTypeSingleton)
	for _, group := range []string{subjects.ServiceGroup, subjects.AppGroup, subjects.ParamGroup} {
		service(group+".*", jwt.ResponseTypeSingleton)
	}
	for _, endpoint := range []string{subjects.Register, subjects.Info} {
		service(subjects.OfApp(endpoint, "*"), jwt.ResponseTypeSingleton)
	}
	for _, name := range appStreams() {
		service("$JS.ACK."+name+".*.>", jwt.ResponseTypeSingleton)
		service("$JS.ACK.*.*."+name+".*.>", jwt.ResponseTypeSingleton)
	}
	for _, name := range readable() {
		service(api+"CONSUMER.INFO."+name+".*", jwt.ResponseTypeSingleton)
		service(api+"CONSUMER.MSG.NEXT."+name+".*", jwt.ResponseTypeStream)
	}
	for _, subject := range operatorAPI() {
		service(api+subject, jwt.ResponseTypeSingleton)
	}
	service(subjects.AllReplays, jwt.ResponseTypeSingleton)
	return all
}

// operatorAPI are the requests to JetStream that only operators may send, beside those of consumers: to
// read the streams, and to remove dead letters.
func operatorAPI() []string {
	all := []string{
		"INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.INFO.*", "STREAM.MSG.GET.*", "CONSUMER.NAMES.*", "CONSUMER.LIST.*",
		"DIRECT.GET." + subjects.AppsStream, "DIRECT.GET." + subjects.AppsStream + ".>",
		"STREAM.PURGE." + subjects.DeadLetters, "STREAM.MSG.DELETE." + subjects.DeadLetters,
	}
	for _, name := range readable() {
		all = append(all, "CONSUMER.CREATE."+name+".>")
	}
	return all
}

// imports are the imports of an account from the account of the room services.
func imports(e Entry, rooms string) jwt.Imports {
	var all jwt.Imports
	add := func(kind jwt.ExportType, subject, local string) {
		all.Add(&jwt.Import{Name: subject, Subject: jwt.Subject(subject), LocalSubject: jwt.RenamingSubject(local), Account: rooms, Type: kind})
	}
	stream := func(subject string) { add(jwt.Stream, subject, "") }
	service := func(subject string) { add(jwt.Service, subject, "") }
	jetStream := func(subject string) { add(jwt.Service, api+subject, apiThere+references(subject)) }

	for _, request := range e.May {
		service(subjects.Room(request))
	}
	switch e.Kind {
	case KindApp:
		app := e.Name
		pre, retry := subjects.PresOf(app)
		stream(pre)
		stream(retry)
		for _, subject := range []string{"$SRV.*", "$SRV.*." + app, "$SRV.*." + app + ".*"} {
			stream(subject)
		}
		service(subjects.VerdictInboxOf(app) + ".>")
		for _, endpoint := range []string{subjects.Register, subjects.Info} {
			add(jwt.Service, subjects.OfApp(endpoint, app), subjects.App(endpoint))
		}
		for _, name := range appStreams() {
			jetStream("CONSUMER.INFO." + name + "." + subjects.Durable(app))
			jetStream("CONSUMER.MSG.NEXT." + name + "." + subjects.Durable(app))
			service("$JS.ACK." + name + "." + subjects.Durable(app) + ".>")
			service("$JS.ACK.*.*." + name + "." + subjects.Durable(app) + ".>")
		}
		service(subjects.Dead(app, "*", "*"))
	case KindOperators:
		for _, endpoint := range appRequests() {
			service(subjects.App(endpoint))
		}
		service(subjects.ParamGroup + ".*")
		service("$SRV.>")
		for _, name := range readable() {
			jetStream("CONSUMER.INFO." + name + ".*")
			jetStream("CONSUMER.MSG.NEXT." + name + ".*")
		}
		for _, subject := range operatorAPI() {
			jetStream(subject)
		}
		service(subjects.AllReplays)
	case KindSystem, KindRooms, KindClient:
	}
	return all
}

// references replaces each * of a subject by a reference to it, as the local subject of an import needs.
func references(subject string) string {
	tokens, n := strings.Split(subject, "."), 0
	for i, token := range tokens {
		if token == "*" {
			n++
			tokens[i] = "$" + string(rune('0'+n))
		}
	}
	return strings.Join(tokens, ".")
}

// requestsOf returns the requests about rooms that the account imports.
func requestsOf(claims *jwt.AccountClaims) []string {
	may := []string{}
	for _, request := range Requests() {
		if slices.ContainsFunc(claims.Imports, func(i *jwt.Import) bool {
			return i.Type == jwt.Service && string(i.Subject) == subjects.Room(request)
		}) {
			may = append(may, request)
		}
	}
	return may
}

// CheckName returns an error if an app or a client cannot have the name.
func CheckName(name string) error { return room.ValidateToken("NAME", name) }
