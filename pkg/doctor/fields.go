package doctor

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Schema is a node of an OpenAPI v3 document, as far as it is read.
type Schema struct {
	Properties map[string]Schema `json:"properties"`
	Items      *Schema           `json:"items"`
	Kinds      []struct {
		Kind string `json:"kind"`
	} `json:"x-kubernetes-group-version-kind"`
}

// Schemas reads the schemas of a group's OpenAPI v3 document, by kind.
func Schemas(document []byte) (map[string]Schema, error) {
	var read struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document, &read); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	byKind := map[string]Schema{}
	for name, raw := range read.Components.Schemas {
		var schema Schema
		if err := json.Unmarshal(raw, &schema); err != nil {
			continue // of another form, and none of ours
		}
		if len(schema.Kinds) == 1 && strings.HasSuffix(name, "."+schema.Kinds[0].Kind) {
			byKind[schema.Kinds[0].Kind] = schema
		}
	}
	return byKind, nil
}

// Fields compares the fields of an object's spec and status with a schema: those that the
// schema lacks, and those that the type lacks, as paths, sorted.
func Fields(schema Schema, object any) (lacks, more []string) {
	of := reflect.TypeOf(object)
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "spec" || name == "status" {
			one := walk{}
			one.field(schema, field, "")
			lacks, more = append(lacks, one.lacks...), append(more, one.more...)
		}
	}
	slices.Sort(lacks)
	slices.Sort(more)
	return lacks, more
}

type walk struct{ lacks, more []string }

// field compares one field of a struct, whose schema is given.
func (w *walk) field(parent Schema, field reflect.StructField, path string) {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	schema, exists := parent.Properties[name]
	if !exists {
		w.lacks = append(w.lacks, path+name)
		return
	}
	w.value(schema, field.Type, path+name)
}

func (w *walk) value(schema Schema, of reflect.Type, path string) {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch {
	case of.Kind() == reflect.Slice && schema.Items != nil:
		w.value(*schema.Items, of.Elem(), path)
	case of.Kind() == reflect.Struct && len(schema.Properties) > 0:
		w.fields(schema, of, path+".")
	}
}

func (w *walk) fields(schema Schema, of reflect.Type, path string) {
	known := map[string]bool{}
	for _, field := range flat(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[name] = true
		w.field(schema, field, path)
	}
	for name := range schema.Properties {
		if !known[name] {
			w.more = append(w.more, path+name)
		}
	}
}

// flat are the fields of a struct that have a name in JSON, those of embedded structs among
// them.
func flat(of reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct:
			fields = append(fields, flat(field.Type)...)
		case field.IsExported() && name != "" && name != "-":
			fields = append(fields, field)
		}
	}
	return fields
}
