package receivers

import (
	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/terminal"
)

// teamsMessage is the largest message that Teams accepts, in bytes.
const teamsMessage = 28 << 10

// teams renders an Adaptive Card for the URL of a Teams workflow. Names and statements are
// text runs, in which Markdown has no meaning.
type teams struct{}

type teamsMessageBody struct {
	Type        string            `json:"type"`
	Summary     string            `json:"summary"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	ContentURL  *string   `json:"contentUrl"`
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema  string            `json:"$schema"`
	Type    string            `json:"type"`
	Version string            `json:"version"`
	Teams   map[string]string `json:"msteams"`
	Body    []teamsElement    `json:"body"`
}

// teamsElement is a container or a rich text of a card.
type teamsElement struct {
	Type    string         `json:"type"`
	Style   string         `json:"style,omitempty"`
	Bleed   bool           `json:"bleed,omitempty"`
	Spacing string         `json:"spacing,omitempty"`
	Items   []teamsElement `json:"items,omitempty"`
	Inlines []teamsRun     `json:"inlines,omitempty"`
}

type teamsRun struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Weight   string `json:"weight,omitempty"`
	Size     string `json:"size,omitempty"`
	FontType string `json:"fontType,omitempty"`
	Subtle   bool   `json:"isSubtle,omitempty"`
}

func (teams) render(all []Notification) (payload, error) {
	changes, err := newChanges(all)
	if err != nil {
		return payload{}, err
	}
	body, err := fit(teamsMessage, func(l limits) ([]byte, error) {
		if len(changes) == 1 {
			return encode(teamsChange(changes[0], l))
		}
		return encode(teamsDigest(newDigest(changes, l), mostSevere(changes)))
	})
	return payload{body: body, contentType: jsonType}, err
}

func mostSevere(changes []Change) risk.Level {
	level := risk.Routine
	for _, c := range changes {
		level = level.Max(c.Risk)
	}
	return level
}

func teamsChange(c Change, l limits) teamsMessageBody {
	m := newTeamsMessage(c.title(), c.summary(maxName), c.Risk)
	m.text(teamsBold(cut(c.subject(), l.statement)))
	m.text(teamsSubtle(cut(c.origin(), l.statement)))
	m.code("", c.statement(), l.statement)
	m.code("undo", terminal.Escape(c.Undo), l.statement)
	m.code("before", terminal.Escape(string(c.Before)), l.before)
	m.code("after", terminal.Escape(string(c.After)), l.after)
	m.paragraph("Medium", []teamsRun{teamsSubtle(cut(terminal.Escape(c.ID), l.statement))})
	return m
}

func teamsDigest(d digest, level risk.Level) teamsMessageBody {
	m := newTeamsMessage(d.title, d.title+": "+d.risks, level)
	m.text(teamsBold(d.risks))
	m.text(teamsSubtle(d.span))
	spacing := "Medium" // before the first line
	for _, l := range d.lines {
		m.paragraph(spacing, []teamsRun{teamsPlain(l.risk + " "), teamsBold(l.operation + " " + l.subject + " "), teamsCode(l.statement)})
		spacing = "Small"
	}
	if d.rest > 0 {
		m.paragraph("Medium", []teamsRun{teamsBold("and " + number(d.rest) + " more")})
		for _, group := range d.groups {
			m.text(teamsPlain(group))
		}
	}
	m.paragraph("Medium", []teamsRun{teamsSubtle("all of them: "), teamsCode(d.command)})
	return m
}

// newTeamsMessage returns a card with a header whose colour shows the risk.
func newTeamsMessage(header, summary string, level risk.Level) teamsMessageBody {
	style := map[risk.Level]string{
		risk.Destructive: "attention", risk.Breaking: "warning", risk.Unknown: "warning",
		risk.Routine: "emphasis",
	}[level]
	title := teamsRun{Type: "TextRun", Text: header, Weight: "Bolder", Size: "Large"}
	return teamsMessageBody{
		Type: "message", Summary: summary,
		Attachments: []teamsAttachment{{
			ContentType: "application/vnd.microsoft.card.adaptive",
			Content: teamsCard{
				Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
				Teams: map[string]string{"width": "Full"},
				Body: []teamsElement{{
					Type: "Container", Style: style, Bleed: true,
					Items: []teamsElement{{Type: "RichTextBlock", Inlines: []teamsRun{title}}},
				}},
			},
		}},
	}
}

// text adds a paragraph, unless it is empty.
func (m *teamsMessageBody) text(runs ...teamsRun) { m.paragraph("Small", runs) }

// paragraph adds a paragraph with a spacing to the previous one.
func (m *teamsMessageBody) paragraph(spacing string, runs []teamsRun) {
	kept := runs[:0]
	for _, r := range runs {
		if r.Text != "" {
			kept = append(kept, r)
		}
	}
	if len(kept) == 0 {
		return
	}
	card := &m.Attachments[0].Content
	card.Body = append(card.Body, teamsElement{Type: "RichTextBlock", Spacing: spacing, Inlines: kept})
}

// code adds a text in a fixed-width font under its heading, truncated to a number of characters.
func (m *teamsMessageBody) code(heading, text string, characters int) {
	switch {
	case text == "":
		return
	case characters == 0:
		m.paragraph("Medium", []teamsRun{teamsSubtle(heading + " " + cutMark)})
	case heading == "":
		m.paragraph("Medium", []teamsRun{teamsCode(cut(text, characters))})
	default:
		m.paragraph("Medium", []teamsRun{teamsSubtle(heading)})
		m.text(teamsCode(cut(text, characters)))
	}
}

func teamsPlain(text string) teamsRun { return teamsRun{Type: "TextRun", Text: text} }

func teamsBold(text string) teamsRun { return teamsRun{Type: "TextRun", Text: text, Weight: "Bolder"} }

func teamsSubtle(text string) teamsRun { return teamsRun{Type: "TextRun", Text: text, Subtle: true} }

func teamsCode(text string) teamsRun {
	return teamsRun{Type: "TextRun", Text: text, FontType: "Monospace"}
}
