package receivers

import (
	"strings"

	"github.com/ddltail/ddltail/internal/terminal"
)

// Slack's limits: characters of a block's text and of a header, bytes of a message. Slack does not
// document a limit in bytes; this one is far below its 16 MB for any request.
const (
	slackBlock   = 3000
	slackHeader  = 150
	slackMessage = 100 << 10
)

// slack renders messages for an incoming webhook. Names and statements are rich text, in which
// Slack does not interpret markup or mentions.
type slack struct{}

type slackMessageBody struct {
	// Text is the text of Slack's notifications. It is sent without mrkdwn, so that markup has no
	// meaning; & < > are escaped, as Slack requires.
	Text        string           `json:"text"`
	Markdown    bool             `json:"mrkdwn"`
	UnfurlLinks bool             `json:"unfurl_links"`
	UnfurlMedia bool             `json:"unfurl_media"`
	Blocks      []slackBlockBody `json:"blocks"`
}

type slackBlockBody struct {
	Type     string         `json:"type"`
	Text     *slackText     `json:"text,omitempty"`
	Elements []slackElement `json:"elements,omitempty"`
}

type slackText struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	Emoji bool   `json:"emoji"`
}

// slackElement is a part of rich text: a section or preformatted text with elements of
// type text.
type slackElement struct {
	Type     string         `json:"type"`
	Text     string         `json:"text,omitempty"`
	Style    *slackStyle    `json:"style,omitempty"`
	Elements []slackElement `json:"elements,omitempty"`
}

type slackStyle struct {
	Bold bool `json:"bold,omitempty"`
	Code bool `json:"code,omitempty"`
}

func (slack) render(all []Notification) (payload, error) {
	changes, err := newChanges(all)
	if err != nil {
		return payload{}, err
	}
	body, err := fit(slackMessage, func(l limits) ([]byte, error) {
		if len(changes) == 1 {
			return encode(slackChange(changes[0], l))
		}
		return encode(slackDigest(newDigest(changes, l)))
	})
	return payload{body: body, contentType: jsonType}, err
}

func slackChange(c Change, l limits) slackMessageBody {
	m := newSlackMessage(c.title(), c.summary(maxName))
	m.section(slackBold(cut(c.subject(), slackBlock/2)), slackPlain("\n"+cut(c.origin(), slackBlock/3)))
	m.preformatted("", c.statement(), l.statement)
	m.preformatted("undo", terminal.Escape(c.Undo), l.statement)
	m.preformatted("before", terminal.Escape(string(c.Before)), l.before)
	m.preformatted("after", terminal.Escape(string(c.After)), l.after)
	m.section(slackPlain(cut(terminal.Escape(c.ID), slackBlock)))
	return m
}

func slackDigest(d digest) slackMessageBody {
	m := newSlackMessage(d.title, d.title+": "+d.risks)
	m.section(slackBold(d.risks), slackPlain("\n"+d.span))
	for _, l := range d.lines {
		m.section(slackPlain(l.risk+" "), slackBold(l.operation+" "+l.subject), slackCode(l.statement))
	}
	if d.rest > 0 {
		m.section(slackBold("and "+number(d.rest)+" more"), slackPlain("\n"+strings.Join(d.groups, "\n")))
	}
	m.section(slackPlain("all of them: "), slackCode(d.command))
	return m
}

// newSlackMessage returns a message with a header. summary is the text of Slack's notifications.
func newSlackMessage(header, summary string) slackMessageBody {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	return slackMessageBody{
		Text: escape.Replace(summary),
		Blocks: []slackBlockBody{{
			Type: "header", Text: &slackText{Type: "plain_text", Text: cut(header, slackHeader)},
		}},
	}
}

func (m *slackMessageBody) section(elements ...slackElement) {
	kept := elements[:0]
	for _, e := range elements {
		if strings.Trim(e.Text, "\n") != "" {
			kept = append(kept, e)
		}
	}
	if len(kept) > 0 {
		m.rich(slackElement{Type: "rich_text_section", Elements: kept})
	}
}

// preformatted adds a text with its heading, truncated to a number of characters. With 0 characters
// it only adds a mark that the text was omitted.
func (m *slackMessageBody) preformatted(heading, text string, characters int) {
	if text == "" {
		return
	}
	if characters == 0 {
		m.section(slackPlain(heading + " " + cutMark))
		return
	}
	parts := []slackElement{{Type: "rich_text_preformatted", Elements: []slackElement{slackPlain(cut(text, characters))}}}
	if heading != "" {
		parts = append([]slackElement{{Type: "rich_text_section", Elements: []slackElement{slackPlain(heading)}}}, parts...)
	}
	m.rich(parts...)
}

func (m *slackMessageBody) rich(elements ...slackElement) {
	m.Blocks = append(m.Blocks, slackBlockBody{Type: "rich_text", Elements: elements})
}

func slackPlain(text string) slackElement { return slackElement{Type: "text", Text: text} }

func slackBold(text string) slackElement {
	return slackElement{Type: "text", Text: text, Style: &slackStyle{Bold: true}}
}

func slackCode(text string) slackElement {
	if text == "" {
		return slackElement{Type: "text"}
	}
	return slackElement{Type: "text", Text: text, Style: &slackStyle{Code: true}}
}
