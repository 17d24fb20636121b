package mongotest

import "net/url"

// directQuery makes the driver use only the server in the connection string.
const directQuery = "directConnection=true"

// uri builds a connection string; user and password are escaped.
type uri struct {
	user, password string
	authSource     string
	hosts          string
	database       string
	query          string
}

func (u uri) as(user, password string) uri {
	u.user, u.password, u.authSource = user, password, "admin"
	return u
}

func (u uri) String() string {
	s := url.URL{Scheme: "mongodb", Host: u.hosts, Path: "/" + u.database, RawQuery: u.query}
	if u.user != "" {
		s.User = url.UserPassword(u.user, u.password)
		s.RawQuery += "&authSource=" + u.authSource
	}
	return s.String()
}
