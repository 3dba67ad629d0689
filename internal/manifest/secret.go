package manifest

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// CheckSecret says what is wrong with the data of a Secret, to be shown behind its name: that a value is not text, or
// is not base64. It is empty for other objects, and where nothing is wrong. It holds the keys, and never a value.
func CheckSecret(u *unstructured.Unstructured) string {
	if !isSecret(u) || u.Object["data"] == nil {
		return ""
	}
	data, ok := u.Object["data"].(map[string]any)
	if !ok {
		return "whose data is no map"
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		text, isText := data[key].(string)
		switch {
		case data[key] == nil:
		case !isText:
			return fmt.Sprintf("whose data[%q] is no text: encode the value in base64, or write it in quotes under stringData", key)
		case !isBase64(text):
			return fmt.Sprintf("whose data[%q] is not base64: encode the value, or write it as it is under stringData", key)
		}
	}
	return ""
}

// isBase64 reads s as the API server does, which lets line breaks be.
func isBase64(s string) bool {
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}
