// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
)

//go:embed static
var staticFiles embed.FS

// asset is one file that pages load.
type asset struct {
	kind    string
	plain   []byte
	zipped  []byte // nil where compressing does not help
	address string
}

// assets are the files under static. Their addresses hold a hash of their content, so that browsers keep them for ever.
type assets struct{ byFile map[string]asset }

func newAssets() (*assets, error) {
	a := &assets{byFile: map[string]asset{}}
	var files []string
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(name, "static/"))
		}
		return err
	})
	slices.SortFunc(files, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") }) // the stylesheet names one of vendor
	for _, file := range files {
		if err = errors.Join(err, a.add(file)); err != nil {
			break
		}
	}
	return a, err
}

// font is what the stylesheet loads.
const font = "vendor/inter.woff2"

func (a *assets) add(file string) error {
	b, err := staticFiles.ReadFile("static/" + file)
	if err != nil {
		return err
	}
	if path.Ext(file) == ".css" {
		b = bytes.ReplaceAll(b, []byte(font), []byte(a.byFile[font].address))
	}
	sum := sha256.Sum256(b)
	f := asset{kind: contentType(file), plain: b, address: Root + "/static/" + hex.EncodeToString(sum[:6]) + "/" + file}
	var z bytes.Buffer
	zw, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := zw.Write(b); err != nil {
		return err
	}
	if err := zw.Close(); err != nil {
		return err
	}
	if z.Len() < len(b)*9/10 {
		f.zipped = z.Bytes()
	}
	a.byFile[file] = f
	return nil
}

func contentType(file string) string {
	switch path.Ext(file) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".woff2":
		return "font/woff2"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(file)); t != "" {
		return t
	}
	return "text/plain; charset=utf-8"
}

// url is the address of a file; an error in a template that names none.
func (a *assets) url(file string) (string, error) {
	f, ok := a.byFile[file]
	if !ok {
		return "", fmt.Errorf("web: there is no file static/%s", file)
	}
	return f.address, nil
}

// ServeHTTP serves a file. One that is asked for under an older hash is served too, but not kept.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.byFile[r.PathValue("file")]
	if !ok {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(f.address, "/"+r.PathValue("hash")+"/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	b := f.plain
	if f.zipped != nil && takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		b = f.zipped
	}
	answers(w)
	_, _ = w.Write(b) // who has gone needs nothing
}

func takesGzip(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
}
