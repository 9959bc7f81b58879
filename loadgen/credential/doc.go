// Package credential owns the credential that requests carry: where it comes
// from, and that it is renewed before it ends.
//
//		source, token, err := credential.Open(ctx, auth, credential.Options{})
//		name, value := credential.Field(auth, token) // authorization, Bearer …
//		for token := range source.Updates() { … }    // until Close
//		err = source.Close()
//
//	 1. Open gets the first token, from a file, from a command, or from a token
//	    server, or fails and says why.
//	 2. A goroutine of the Source's gets the next one when 80 % of the token's life
//	    are over, and looks every second whether a file has changed. Updates has
//	    the newest token that nobody has taken yet.
//	 3. When there is no new token the old one stays in use, the attempt is
//	    repeated ever more slowly, and each failure is an Event. So is the end of
//	    the old token's life.
//
// The life of a token is what its source says (expirationTimestamp, expires_in),
// or else the claim exp of a JSON Web Token. A token of which neither is known
// is renewed as if it lived for a quarter of an hour.
//
// A token is never shown: not in an error, an Event, a format or JSON. Only
// Token.Reveal returns it. What a command or a server says in an error is passed
// on without anything that is, or looks like, a credential.
package credential
