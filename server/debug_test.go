// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestDebugIsTheOperators(t *testing.T) {
	const token = "0123456789abcdef"
	get := func(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "http://localhost:4567"+path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	closed, open := debugHandler(token, map[string]string{"a": "b"}), debugHandler("", nil)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/config", "/debug/pprof/profile"} {
		for _, header := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", token}, {"Authorization", "Bearer " + token + "x"}, {"Authorization", "Bearer 0"}} {
			if w := get(closed, path, header...); w.Code != http.StatusUnauthorized {
				t.Errorf("%s with %q: %d", path, header, w.Code)
			}
		}
	}
	if w := get(closed, "/debug/pprof/goroutine?debug=2", "Authorization", "Bearer "+token); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "goroutine ") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(closed, "/debug/config", "Authorization", "Bearer "+token); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"a": "b"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(open, "/debug/pprof/"); w.Code != http.StatusOK {
		t.Errorf("without a token, on loopback: %d", w.Code)
	}
	if w := get(open, "/debug/pprof/", "Origin", "https://evil.example"); w.Code != http.StatusUnauthorized {
		t.Errorf("a web page: %d", w.Code)
	}
	w := httptest.NewRecorder()
	if open.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://evil.example:4567/debug/config", nil)); w.Code != http.StatusForbidden {
		t.Errorf("a web page whose name was pointed here: %d", w.Code)
	}
}

func TestSettingsAreRedacted(t *testing.T) {
	for _, dsn := range []string{"postgres://leat:hunter2@db/leat", "postgres://leat@db/leat?password=hunter2", "host=db password=hunter2"} {
		c := ServeConfig{Postgres: dsn, Token: "hunter2", MasterKey: "hunter2", S3: S3{SecretKey: "hunter2", AccessKey: "id", Bucket: "b"}}
		text, err := json.Marshal(c.redact())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), `"id"`) || c.Token != "hunter2" {
			t.Errorf("%s", text)
		}
	}
}

// Whatever is marked as a secret is redacted.
func TestSecretSettingsAreRedacted(t *testing.T) {
	var dev DevConfig
	var serve ServeConfig
	if n := setSecrets(reflect.ValueOf(&dev).Elem()); n != 3 {
		t.Errorf("leat dev has %d secrets", n)
	}
	if n := setSecrets(reflect.ValueOf(&serve).Elem()); n != 6 {
		t.Errorf("leat serve has %d secrets", n)
	}
	for _, shown := range []any{dev.redact(), serve.redact()} {
		text, err := json.Marshal(shown)
		if err != nil || strings.Contains(string(text), "hunter2") {
			t.Errorf("%s, %v", text, err)
		}
	}
	if serve.OTLP.Headers[0] != "hunter2" || serve.OIDC.ClientSecret != "hunter2" {
		t.Error("the settings themselves were redacted")
	}
}

// setSecrets sets every setting that is tagged as secret, at any depth, and counts them.
func setSecrets(settings reflect.Value) (n int) {
	for i := range settings.NumField() {
		field := settings.Field(i)
		_, secret := settings.Type().Field(i).Tag.Lookup("secret")
		switch {
		case secret && field.Kind() == reflect.Slice:
			field.Set(reflect.ValueOf([]string{"hunter2"}))
			n++
		case secret:
			field.SetString("hunter2")
			n++
		case field.Kind() == reflect.Struct:
			n += setSecrets(field)
		}
	}
	return n
}
