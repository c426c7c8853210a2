// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"html/template"
)

// icons are drawn on 16 by 16, in lines.
var icons = map[string]template.HTML{
	"streams":    `<path d="M1.5 4.5c2.2-2 4.3-2 6.5 0s4.3 2 6.5 0M1.5 8.5c2.2-2 4.3-2 6.5 0s4.3 2 6.5 0M1.5 12.5c2.2-2 4.3-2 6.5 0s4.3 2 6.5 0"/>`,
	"nodes":      `<rect x="2" y="2.5" width="12" height="4.5" rx="1"/><rect x="2" y="9" width="12" height="4.5" rx="1"/><path d="M4.5 4.75h.01M4.5 11.25h.01"/>`,
	"health":     `<path d="M1.5 8.5h3l2-5 3 9 2-4h3"/>`,
	"keys":       `<circle cx="5" cy="11" r="3"/><path d="M7.2 8.8 13.5 2.5M11 5l2 2"/>`,
	"token":      `<path d="M2 4.500h12v2.200a1.300 1.300 0 0 0 0 2.600v2.200H2V9.300a1.300 1.300 0 0 0 0-2.600zM9.500 4.500v7"/>`,
	"person":     `<circle cx="8" cy="5" r="2.700"/><path d="M2.800 13.500c.6-2.800 2.600-4.200 5.200-4.200s4.600 1.400 5.200 4.200"/>`,
	"deliveries": `<path d="M2 5.5 8 2.5l6 3v5l-6 3-6-3zM2 5.5l6 3 6-3M8 8.5v5"/>`,
	"usage":      `<path d="M2.5 13.5v-4M6.2 13.5v-8M9.8 13.5V8M13.5 13.5v-11"/>`,
	"audit":      `<path d="M3.5 1.5h6l3 3v10h-9zM9.5 1.5v3h3M5.5 7.5h5M5.5 10.5h5"/>`,
	"policies":   `<path d="M8 1.5 13 3.5v4c0 3.4-2.2 5.8-5 7-2.8-1.2-5-3.6-5-7v-4zM5.8 8l1.6 1.6 3-3.2"/>`,
	"limits":     `<path d="M2 11a6 6 0 1 1 12 0M8 11l3-3.5"/>`,
	"search":     `<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3.5 3.5"/>`,
	"plus":       `<path d="M8 3v10M3 8h10"/>`,
	"check":      `<path d="m3 8.5 3.2 3.2L13 5"/>`,
	"copy":       `<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2"/>`,
	"code":       `<path d="m5.5 4.5-4 3.5 4 3.5M10.5 4.5l4 3.5-4 3.5"/>`,
	"lock":       `<rect x="3" y="7" width="10" height="7" rx="1.5"/><path d="M5 7V5a3 3 0 0 1 6 0v2"/>`,
	"flame":      `<path d="M8 1.5c.5 3 4 4.2 4 8a4 4 0 0 1-8 0c0-1.6.8-2.6 1.7-3.5.2 1.2.8 1.8 1.5 2C7 5.500 6.800 3.500 8 1.500z"/>`,
	"split":      `<path d="M2 8h4l4-4h4M6 8l4 4h4"/>`,
	"play":       `<path d="M5 3.500v9l7-4.500z"/>`,
	"pause":      `<path d="M5.500 3.500v9M10.500 3.500v9"/>`,
	"out":        `<path d="M6 2.500H3.500a1 1 0 0 0-1 1v9a1 1 0 0 0 1 1H6M10.500 11l3-3-3-3M13.500 8H6"/>`,
	"sun":        `<circle cx="8" cy="8" r="2.800"/><path d="M8 1.500v1.200M8 13.300v1.200M1.500 8h1.200M13.300 8h1.200M3.400 3.400l.85.85M11.750 11.750l.85.85M3.400 12.600l.85-.85M11.750 4.250l.85-.85"/>`,
	"clock":      `<circle cx="8" cy="8" r="6"/><path d="M8 4.500V8l2.500 1.500"/>`,
	"warn":       `<path d="M8 2 14.500 13.500h-13zM8 6.500v3M8 11.500h.01"/>`,
}

// icon is a drawing beside a text that says the same.
func icon(name string) (template.HTML, error) {
	drawing, ok := icons[name]
	if !ok {
		return "", fmt.Errorf("web: there is no icon %q", name)
	}
	return `<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">` + drawing + `</svg>`, nil
}
