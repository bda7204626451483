package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
)

// baseYAML is what every cluster starts with. "#part NAME" lines cut it into parts that --disable=NAME leaves out.
//
//go:embed base.yaml
var baseYAML string

const extraManifests = "/var/lib/rancher/k3s/server/manifests/*.y*ml"

// createManifests makes the base objects and those that the image's user has put where k3s looks for them.
func createManifests(ctx context.Context, client *kubernetes.Clientset) {
	creator, err := newCreator(client)
	if err != nil {
		milestone("manifests: %v", err)
		return
	}
	if err := creator.create(ctx, baseManifests(strings.Split(os.Getenv("NODE_DISABLE"), ","))); err != nil {
		milestone("base manifests: %v", err)
	}
	files, _ := filepath.Glob(extraManifests) // sorted; the pattern is well-formed
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil {
			err = creator.create(ctx, string(text))
		}
		if err != nil {
			milestone("manifest %s: %v", file, err)
		}
	}
}

func baseManifests(disabled []string) string {
	text := strings.NewReplacer("@DNS_IP@", os.Getenv("NODE_DNS_IP"), "@DOMAIN@", os.Getenv("NODE_DOMAIN")).Replace(baseYAML)
	skip := map[string]bool{}
	for _, name := range disabled {
		skip[name] = true
	}
	var parts []string
	for _, part := range strings.Split("\n"+text, "\n#part ") {
		name, objects, _ := strings.Cut(part, "\n")
		if !skip[strings.TrimSpace(name)] {
			parts = append(parts, objects)
		}
	}
	return strings.Join(parts, "\n---\n")
}

// creator makes objects of any kind, also of kinds whose definition has just been made.
type creator struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

func newCreator(client *kubernetes.Clientset) (*creator, error) {
	config, err := clientConfig(adminKubeconfig)
	if err != nil {
		return nil, err
	}
	dynamicClient, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &creator{dynamicClient, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))}, nil
}

// create makes every object of a YAML stream that is not there yet.
func (c *creator) create(ctx context.Context, text string) error {
	var errs []error
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if len(object.Object) > 0 {
			errs = append(errs, c.createOne(ctx, object))
		}
	}
}

// createOne tries for six seconds: namespaces, definitions and admission plugins may not be ready yet.
func (c *creator) createOne(ctx context.Context, object *unstructured.Unstructured) error {
	const tries, pause = 30, 200 * time.Millisecond
	for try := 1; ; try++ {
		err := c.tryCreate(ctx, object)
		if err == nil || apierrors.IsAlreadyExists(err) {
			return nil
		}
		if try == tries {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		time.Sleep(pause)
	}
}

func (c *creator) tryCreate(ctx context.Context, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		c.mapper.Reset()
		return err
	}
	var resource dynamic.ResourceInterface = c.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		namespace := object.GetNamespace()
		if namespace == "" {
			namespace = "default"
		}
		resource = c.client.Resource(mapping.Resource).Namespace(namespace)
	}
	_, err = resource.Create(ctx, object, metav1.CreateOptions{})
	return err
}
