// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/leatstream/leat"
)

// convert writes arguments as the engines store them; see the package comment.
func convert(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = stored(a)
	}
	return out
}

func stored(a any) any {
	switch v := a.(type) {
	case uint64:
		return int64(v)
	case uint32:
		return int64(v)
	case uint8:
		return int64(v)
	case int:
		return int64(v)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case time.Time:
		if v.IsZero() {
			return int64(0)
		}
		return leat.Micros(v)
	case time.Duration:
		return v.Microseconds()
	case leat.StreamID:
		return v.String()
	case leat.SessionID:
		return v.String()
	case leat.ClusterID:
		return v.String()
	case leat.KeyID:
		if v.IsZero() {
			return ""
		}
		return v.String()
	case leat.HashKey:
		b := v.Bytes()
		return hex.EncodeToString(b[:])
	}
	return a
}

// scanner reads one column.
type scanner func(src any) error

func (s scanner) Scan(src any) error { return s(src) }

func scanInt(set func(int64)) sql.Scanner {
	return scanner(func(src any) error {
		n, ok := src.(int64)
		if !ok {
			return fmt.Errorf("sqldb: column is %T where an integer was expected", src)
		}
		set(n)
		return nil
	})
}

func scanText(set func(string) error) sql.Scanner {
	return scanner(func(src any) error {
		switch s := src.(type) {
		case string:
			return set(s)
		case []byte:
			return set(string(s))
		}
		return fmt.Errorf("sqldb: column is %T where text was expected", src)
	})
}

// U64 reads a uint64 that was stored as the BIGINT of the same bits.
func U64(p *uint64) sql.Scanner { return scanInt(func(n int64) { *p = uint64(n) }) }

// Bool reads 0 or 1.
func Bool(p *bool) sql.Scanner { return scanInt(func(n int64) { *p = n != 0 }) }

// Time reads microseconds since 1970 as UTC; 0 is the zero time.
func Time(p *time.Time) sql.Scanner {
	return scanInt(func(n int64) {
		*p = time.Time{}
		if n != 0 {
			*p = time.UnixMicro(n).UTC()
		}
	})
}

// Duration reads microseconds.
func Duration(p *time.Duration) sql.Scanner {
	return scanInt(func(n int64) { *p = time.Duration(n) * time.Microsecond })
}

// ID reads an identity. NULL becomes the zero identity.
func ID[T leat.StreamID | leat.SessionID | leat.ClusterID | leat.KeyID](p *T) sql.Scanner {
	text := scanText(func(s string) (err error) {
		*p, err = leat.ParseID[T](s)
		return err
	})
	return scanner(func(src any) error {
		if src == nil {
			*p = T{}
			return nil
		}
		return text.Scan(src)
	})
}

// KeyID reads an identity that may be none: the empty text.
func KeyID(p *leat.KeyID) sql.Scanner {
	return scanText(func(s string) (err error) {
		if *p = (leat.KeyID{}); s != "" {
			*p, err = leat.ParseID[leat.KeyID](s)
		}
		return err
	})
}

// HashKey reads 32 hexadecimal digits.
func HashKey(p *leat.HashKey) sql.Scanner {
	return scanText(func(s string) error {
		var b [16]byte
		if len(s) != 32 {
			return fmt.Errorf("sqldb: %q is not a hash key", s)
		}
		if _, err := hex.Decode(b[:], []byte(s)); err != nil {
			return fmt.Errorf("sqldb: %q is not a hash key", s)
		}
		*p = leat.HashKeyFromBytes(b)
		return nil
	})
}
