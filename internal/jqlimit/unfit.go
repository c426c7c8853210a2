// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package jqlimit

import (
	"fmt"
	"reflect"

	"github.com/itchyny/gojq"
)

// maxNesting is how deep the terms of a query may be in one another. What compiles queries goes down by recursion.
const maxNesting = 200

// Unfit says what is wrong with a query, so that it is not compiled: terms that are too deep in one another, or a call of a
// function, anywhere in it, for which refuse has a reason.
func Unfit(q *gojq.Query, refuse func(function string) string) string {
	return unfit(reflect.ValueOf(q), 0, refuse)
}

func unfit(v reflect.Value, depth int, refuse func(string) string) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		switch x := v.Interface().(type) {
		case *gojq.Func:
			if why := refuse(x.Name); why != "" {
				return why
			}
		case *gojq.Term:
			if depth++; depth > maxNesting {
				return fmt.Sprintf("has more than %d terms in one another", maxNesting)
			}
		}
		return unfit(v.Elem(), depth, refuse)
	case reflect.Struct:
		for i := range v.NumField() {
			if why := unfit(v.Field(i), depth, refuse); why != "" {
				return why
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if why := unfit(v.Index(i), depth, refuse); why != "" {
				return why
			}
		}
	}
	return ""
}
