// Package ecr gives credentials for Amazon ECR by the identity that this process has at AWS: that of its service
// account (IRSA or EKS Pod Identity), of its node, or of the environment.
//
// It is responsible for telling which registries are Amazon's and for a login for each. It refuses to keep a login on
// disk, and to ask for one for a host that only looks like one of Amazon's.
package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"

	"github.com/sengu-dev/sengu/internal/registry"
)

// hosts of private registries: the account, whether it is for FIPS, and the region.
var hosts = regexp.MustCompile(`^[0-9]{12}\.dkr[.-]ecr(-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn)$`)

// word is what a code of an error is.
var word = regexp.MustCompile(`^[A-Za-z]{1,64}$`)

// Options of a Helper.
type Options struct {
	// Endpoint of the API, that of the region when empty.
	Endpoint string
}

// Helper gives logins for Amazon ECR.
type Helper struct {
	opts   Options
	client *awshttp.BuildableClient // and no other, so that AWS_CA_BUNDLE is honoured

	mu     sync.Mutex
	config *aws.Config // nil until it is needed
}

var _ registry.Helper = (*Helper)(nil)

// New makes a Helper. It asks nobody for anything before a login is needed.
func New(opts Options) *Helper {
	return &Helper{opts: opts, client: awshttp.NewBuildableClient().WithTimeout(20 * time.Second)}
}

// Name is that of the service.
func (*Helper) Name() string { return "Amazon ECR" }

// Serves says whether a host is that of a private registry at Amazon. The public one needs no login.
func (*Helper) Serves(host string) bool { return hosts.MatchString(host) }

// Login asks for a login, which holds for twelve hours.
func (h *Helper) Login(ctx context.Context, host string) (registry.Login, time.Time, error) {
	parts := hosts.FindStringSubmatch(host)
	if parts == nil {
		return registry.Login{}, time.Time{}, errors.New("it is not one of Amazon's hosts")
	}
	conf, err := h.identity(ctx)
	if err != nil {
		return registry.Login{}, time.Time{}, err
	}
	api := ecr.NewFromConfig(conf, func(o *ecr.Options) {
		o.Region = parts[2]
		if parts[1] != "" {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
		if h.opts.Endpoint != "" {
			o.BaseEndpoint = aws.String(h.opts.Endpoint)
		}
	})
	out, err := api.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return registry.Login{}, time.Time{}, explain(err)
	}
	return read(out)
}

// identity finds out who this process is at AWS.
func (h *Helper) identity(ctx context.Context) (aws.Config, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.config == nil {
		// A region of its own, so that the metadata of a node is not asked for one.
		conf, err := config.LoadDefaultConfig(ctx, config.WithRegion("us-east-1"), config.WithHTTPClient(h.client), config.WithRetryMaxAttempts(2))
		if err != nil {
			return aws.Config{}, errors.New("the configuration of AWS cannot be read")
		}
		h.config = &conf
	}
	return *h.config, nil
}

func read(out *ecr.GetAuthorizationTokenOutput) (registry.Login, time.Time, error) {
	for _, a := range out.AuthorizationData {
		plain, err := base64.StdEncoding.DecodeString(aws.ToString(a.AuthorizationToken))
		user, password, ok := strings.Cut(string(plain), ":")
		if err == nil && ok && a.ExpiresAt != nil {
			return registry.Login{Username: user, Password: password}, *a.ExpiresAt, nil
		}
	}
	return registry.Login{}, time.Time{}, errors.New("it answers without a login")
}

// explain keeps of an error what helps, and no answer of a server.
func explain(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && word.MatchString(api.ErrorCode()) {
		return fmt.Errorf("it answers %s, and the identity needs ecr:GetAuthorizationToken", api.ErrorCode())
	}
	var op *smithy.OperationError
	if errors.As(err, &op) && strings.Contains(err.Error(), "get identity") {
		return errors.New("this process has no identity at AWS")
	}
	return errors.New("it cannot be reached")
}
