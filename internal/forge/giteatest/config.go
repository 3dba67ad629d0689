package giteatest

import (
	"fmt"
	"io/fs"
	"os"
)

// settings of an instance that is set up already, speaks to nobody but loopback and does nothing by itself. The values
// are its directory and its port.
const settings = `RUN_MODE = prod
WORK_PATH = %[1]s

[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[2]d
ROOT_URL = http://127.0.0.1:%[2]d/
STATIC_ROOT_PATH = %[3]s
OFFLINE_MODE = true
DISABLE_SSH = true
GRACEFUL_HAMMER_TIME = 5s

[database]
DB_TYPE = sqlite3

[security]
INSTALL_LOCK = true
SECRET_KEY = for-tests-only
PASSWORD_HASH_ALGO = pbkdf2_v1

[service]
DISABLE_REGISTRATION = true

[webhook]
ALLOWED_HOST_LIST = loopback

[session]
PROVIDER = memory

[actions]
ENABLED = false

[cron]
ENABLED = false

[indexer]
ISSUE_INDEXER_TYPE = db

[i18n]
LANGS = en-US
NAMES = English

[log]
MODE = console
LEVEL = warn
`

// prepare fills the directory, and returns the path of the binary that the user of Gitea can reach.
func (s *Server) prepare(binary string, port int) (string, error) {
	static := binary + "-data"
	if os.Geteuid() == 0 {
		// The repository may be where only root can look.
		if err := copyFile(binary, s.path("gitea")); err != nil {
			return "", err
		}
		if err := os.CopyFS(s.path("static"), os.DirFS(static)); err != nil {
			return "", fmt.Errorf("copy the files of gitea: %w", err)
		}
		binary, static = s.path("gitea"), s.path("static")
	}
	if err := os.Mkdir(s.path("home"), 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(s.path("app.ini"), fmt.Appendf(nil, settings, s.dir, port, static), 0o600); err != nil {
		return "", err
	}
	if os.Geteuid() != 0 {
		return binary, nil
	}
	if err := giveAway(s.dir); err != nil {
		return "", fmt.Errorf("give the directory to the user of gitea: %w", err)
	}
	return binary, nil
}

// giveAway makes the user of Gitea own a directory and all that is in it.
func giveAway(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(path, nobody, nobody)
	})
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from) //nolint:gosec // named by whoever runs the tests
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o700) //nolint:gosec // a program
}
