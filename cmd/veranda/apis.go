package main

import (
	"fmt"
	"os"

	"github.com/veranda-go/veranda/graph"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// doorConfig is what strangers may do at the public layer's doors.
type doorConfig struct {
	origins httpapi.Origins
	// trusted is the file of a manifest of documents, "" for none.
	trusted     string
	trustedOnly bool
}

// doors are the settings of a doorConfig.
func (s *settings) doors() *doorConfig {
	c := &doorConfig{}
	s.flags.Var(&originsValue{origins: &c.origins}, "allowed-origins",
		"`origins` whose pages may call, such as https://www.example.com, apart by commas; * for any")
	s.flags.StringVar(&c.trusted, "trusted-documents", "",
		"`file` of GraphQL documents that may be called by id or hash: Apollo's persisted query manifest, or {\"id\": \"document\"}")
	s.flags.BoolVar(&c.trustedOnly, "trusted-documents-only", false, "run no other GraphQL documents than the trusted ones; GraphiQL needs others")
	return c
}

// trust tells the GraphQL door which documents to trust.
func (c doorConfig) trust(d *graph.Handler) error {
	if c.trusted == "" {
		if c.trustedOnly {
			return usagef("--trusted-documents-only: needs --trusted-documents")
		}
		return nil
	}
	manifest, err := os.ReadFile(c.trusted)
	if err == nil {
		err = d.Trust(manifest, c.trustedOnly)
	}
	if err != nil {
		return usageError{fmt.Errorf("--trusted-documents: %w", err)}
	}
	return nil
}

// originsValue is a list of web origins.
type originsValue struct {
	origins *httpapi.Origins
	text    string
}

func (o *originsValue) String() string { return o.text }

func (o *originsValue) Set(text string) (err error) {
	o.text = text
	*o.origins, err = httpapi.ParseOrigins(text)
	return err
}
