package release

import (
	"testing"

	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.Options{}) }
