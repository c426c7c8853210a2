// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package objectname

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The patterns of java.time.format.DateTimeFormatter (its ofPattern), as the documentation of Java 8 has them, in the
// locale en-US: names are English, and weeks begin on Sunday and count from the one that holds January 1st.
//
// Left out: F, whose meaning changed between versions of Java; z and v, names of zones that depend on the version of
// Java's locale data; p, padding; B and g, which Java 8 does not know. They are refused.

// timePattern is a compiled pattern.
type timePattern []timeField

// timeField is letters of one kind, or text.
type timeField struct {
	letter byte // 0 for text
	count  int
	text   string
}

// patternError says where in a pattern something is wrong.
type patternError struct {
	at   int
	text string
}

// most is how often a letter may be repeated; letters that are not here are not known.
var most = map[byte]int{
	'G': 5, 'u': 19, 'y': 19, 'D': 3, 'M': 5, 'L': 5, 'd': 2, 'Q': 5, 'q': 5, 'Y': 19, 'w': 2, 'W': 1, 'E': 5, 'e': 5, 'c': 5,
	'a': 1, 'h': 2, 'K': 2, 'k': 2, 'H': 2, 'm': 2, 's': 2, 'S': 9, 'A': 19, 'n': 19, 'N': 19, 'V': 2, 'O': 4, 'X': 5, 'x': 5, 'Z': 5,
}

func parseTime(s string) (timePattern, *patternError) {
	var p timePattern
	if s == "" {
		return nil, &patternError{0, "the time pattern is empty; write one such as yyyy/MM/dd"}
	}
	depth := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case isLetter(c):
			n := 1
			for i+n < len(s) && s[i+n] == c {
				n++
			}
			if err := letters(c, n, i); err != nil {
				return nil, err
			}
			p = append(p, timeField{letter: c, count: n})
			i += n
		case c == '\'':
			text, next, ok := quoted(s, i)
			if !ok {
				return nil, &patternError{i, "the quote is not closed; text between letters stands in '…', and '' is one quote"}
			}
			p = append(p, timeField{text: text})
			i = next
		case c == '[': // optional sections: whatever they hold is there
			depth++
			i++
		case c == ']':
			if depth--; depth < 0 {
				return nil, &patternError{i, "] closes nothing; put it in quotes to mean the character"}
			}
			i++
		case c == '{' || c == '}' || c == '#':
			return nil, &patternError{i, fmt.Sprintf("%q is reserved; put it in quotes to mean the character", string(c))}
		default:
			p = append(p, timeField{text: s[i : i+1]})
			i++
		}
	}
	return p, nil
}

// letters checks a run of one letter.
func letters(c byte, n, at int) *patternError {
	limit, known := most[c]
	switch {
	case !known:
		return &patternError{at, fmt.Sprintf("the letter %q is not a supported one of DateTimeFormatter; put text in quotes", string(c))}
	case n > limit,
		c == 'V' && n != 2,
		c == 'O' && n != 1 && n != 4,
		c == 'c' && n == 2:
		return &patternError{at, fmt.Sprintf("%q is repeated %d times, which DateTimeFormatter does not know", string(c), n)}
	}
	return nil
}

// quoted reads text in quotes that begins at a position.
func quoted(s string, at int) (text string, next int, ok bool) {
	var b strings.Builder
	for i := at + 1; i < len(s); i++ {
		switch {
		case s[i] != '\'':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '\'':
			b.WriteByte('\'')
			i++
		case b.Len() == 0: // nothing in quotes is a quote
			return "'", i + 1, true
		default:
			return b.String(), i + 1, true
		}
	}
	return "", 0, false
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// format appends a time, which is in the zone it is to be shown in.
func (p timePattern) format(b *strings.Builder, t time.Time) {
	for _, f := range p {
		if f.letter == 0 {
			b.WriteString(f.text)
			continue
		}
		f.append(b, t)
	}
}

func (f timeField) append(b *strings.Builder, t time.Time) {
	year, n := t.Year(), f.count
	switch f.letter {
	case 'G':
		b.WriteString([]string{"AD", "AD", "AD", "Anno Domini", "A"}[n-1])
	case 'u', 'y':
		writeYear(b, year, n)
	case 'Y':
		year, _ = week(t)
		writeYear(b, year, n)
	case 'w':
		_, w := week(t)
		pad(b, w, n)
	case 'W':
		first := t.AddDate(0, 0, 1-t.Day()).Weekday()
		pad(b, (t.Day()-1+int(first))/7+1, n)
	case 'D':
		pad(b, t.YearDay(), n)
	case 'M', 'L':
		named(b, int(t.Month()), t.Month().String(), n)
	case 'Q', 'q':
		quarter(b, (int(t.Month())-1)/3+1, n)
	case 'd':
		pad(b, t.Day(), n)
	case 'E':
		named(b, 0, t.Weekday().String(), max(n, 3))
	case 'e', 'c':
		named(b, int(t.Weekday())+1, t.Weekday().String(), n)
	case 'V':
		b.WriteString(zone(t))
	case 'O', 'X', 'x', 'Z':
		offset(b, t, f.letter, n)
	default:
		f.clock(b, t)
	}
}

// clock appends a field of the day.
func (f timeField) clock(b *strings.Builder, t time.Time) {
	midnight := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
		time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	switch f.letter {
	case 'a':
		b.WriteString([]string{"AM", "PM"}[t.Hour()/12])
	case 'h':
		pad(b, (t.Hour()+11)%12+1, f.count)
	case 'K':
		pad(b, t.Hour()%12, f.count)
	case 'k':
		pad(b, (t.Hour()+23)%24+1, f.count)
	case 'H':
		pad(b, t.Hour(), f.count)
	case 'm':
		pad(b, t.Minute(), f.count)
	case 's':
		pad(b, t.Second(), f.count)
	case 'S':
		fmt.Fprintf(b, "%.*s", f.count, fmt.Sprintf("%09d", t.Nanosecond()))
	case 'A':
		pad(b, int(midnight.Milliseconds()), f.count)
	case 'n':
		pad(b, t.Nanosecond(), f.count)
	case 'N':
		pad(b, int(midnight), f.count)
	}
}

func pad(b *strings.Builder, n, width int) { fmt.Fprintf(b, "%0*d", width, n) }

// writeYear appends a year: two letters mean its last two digits.
func writeYear(b *strings.Builder, year, n int) {
	if n == 2 {
		pad(b, year%100, 2)
		return
	}
	pad(b, year, n)
}

// named appends a number by one or two letters, a short name by three, the name by four, its first letter by five.
func named(b *strings.Builder, number int, name string, n int) {
	switch n {
	case 3:
		b.WriteString(name[:3])
	case 4:
		b.WriteString(name)
	case 5:
		b.WriteByte(name[0])
	default:
		pad(b, number, n)
	}
}

func quarter(b *strings.Builder, q, n int) {
	switch n {
	case 3:
		b.WriteString("Q" + strconv.Itoa(q))
	case 4:
		b.WriteString([]string{"1st", "2nd", "3rd", "4th"}[q-1] + " quarter")
	case 5:
		pad(b, q, 1)
	default:
		pad(b, q, n)
	}
}

// week returns the week of a time and the year that the week counts to.
func week(t time.Time) (year, number int) {
	toSaturday := int(time.Saturday - t.Weekday())
	if end := t.AddDate(0, 0, toSaturday); end.Year() > t.Year() {
		return end.Year(), 1
	}
	first := t.AddDate(0, 0, 1-t.YearDay()).Weekday()
	return t.Year(), (t.YearDay()-1+int(first))/7 + 1
}

// zone returns a zone's id. Java's ZoneId of UTC is UTC here, as Firehose has it.
func zone(t time.Time) string { return t.Location().String() }

// offset appends a time's distance from UTC.
func offset(b *strings.Builder, t time.Time, letter byte, n int) {
	_, seconds := t.Zone()
	sign, rest := "+", seconds
	if seconds < 0 {
		sign, rest = "-", -seconds
	}
	h, m, s := rest/3600, rest/60%60, rest%60
	switch {
	case letter == 'O' || letter == 'Z' && n == 4:
		b.WriteString("GMT")
		switch {
		case seconds == 0:
		case letter == 'O' && n == 1:
			fmt.Fprintf(b, "%s%d", sign, h)
			if m != 0 || s != 0 {
				fmt.Fprintf(b, ":%02d", m)
			}
			tail(b, ":", s)
		default:
			fmt.Fprintf(b, "%s%02d:%02d", sign, h, m)
			tail(b, ":", s)
		}
	case seconds == 0 && (letter == 'X' || letter == 'Z' && n == 5):
		b.WriteByte('Z')
	case letter == 'Z' && n <= 3:
		fmt.Fprintf(b, "%s%02d%02d", sign, h, m)
	case letter == 'Z':
		fmt.Fprintf(b, "%s%02d:%02d", sign, h, m)
		tail(b, ":", s)
	case n == 1:
		fmt.Fprintf(b, "%s%02d", sign, h)
		if m != 0 {
			fmt.Fprintf(b, "%02d", m)
		}
	case n == 2 || n == 4:
		fmt.Fprintf(b, "%s%02d%02d", sign, h, m)
		if n == 4 {
			tail(b, "", s)
		}
	default:
		fmt.Fprintf(b, "%s%02d:%02d", sign, h, m)
		if n == 5 {
			tail(b, ":", s)
		}
	}
}

// tail appends an offset's seconds, which few zones have, and only long ago.
func tail(b *strings.Builder, colon string, s int) {
	if s != 0 {
		fmt.Fprintf(b, "%s%02d", colon, s)
	}
}
