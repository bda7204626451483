package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

const podRangesFile = "/var/lib/node/cidrs.json" // node name -> /24, written by the init when a node joins

// serverTasks is what k3s does beside Kubernetes' own programs: base manifests, pod ranges and the server's role as fields of the Node
// objects, and the words that say a node is Ready. It does not return.
func serverTasks(client *kubernetes.Clientset) {
	ctx := context.Background()
	go createManifests(ctx, client)

	ready := map[string]bool{}
	factory := informers.NewSharedInformerFactory(client, 30*time.Second)
	handle(factory.Core().V1().Nodes().Informer(), func(node *corev1.Node) {
		setPodRange(ctx, client, node)
		setServerRole(ctx, client, node)
		if now := isReady(node); now != ready[node.Name] {
			ready[node.Name] = now
			announceReady(node.Name, now)
		}
	}, nil)
	factory.Start(ctx.Done())
	select {}
}

func setPodRange(ctx context.Context, client *kubernetes.Clientset, node *corev1.Node) {
	if node.Spec.PodCIDR != "" {
		return
	}
	ranges := map[string]string{}
	data, err := os.ReadFile(podRangesFile)
	if err == nil {
		err = json.Unmarshal(data, &ranges)
	}
	given := ranges[node.Name]
	if err == nil && given != "" {
		err = patchNode(ctx, client, node.Name, fmt.Sprintf(`{"spec":{"podCIDR":%q,"podCIDRs":[%q]}}`, given, given))
	}
	klog.InfoS("pod range", "node", node.Name, "range", given, "err", err)
}

func setServerRole(ctx context.Context, client *kubernetes.Clientset, node *corev1.Node) {
	const role = "node-role.kubernetes.io/control-plane"
	if _, has := node.Labels[role]; has || node.Name != os.Getenv("NODE_NAME") {
		return
	}
	if err := patchNode(ctx, client, node.Name, `{"metadata":{"labels":{"`+role+`":"true","node-role.kubernetes.io/master":"true"}}}`); err != nil {
		klog.ErrorS(err, "role", "node", node.Name) // the next resync tries again
	}
}

func patchNode(ctx context.Context, client *kubernetes.Clientset, name, patch string) error {
	_, err := client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

func isReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func announceReady(name string, ready bool) {
	milestone("node %s: Ready is %t", name, ready)
	if ready && name == os.Getenv("NODE_NAME") {
		if err := os.WriteFile("/run/node-ready", nil, 0o644); err != nil {
			klog.ErrorS(err, "node-ready")
		}
		milestoneTo(containerErrors, "Node controller sync successful") // what tools that know k3s wait for, on its error output
	}
}

// handle calls set for every object that is there or changes, and gone (if any) for one that is deleted.
func handle[T any](informer cache.SharedIndexInformer, set func(T), gone func(T)) {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { set(object.(T)) },
		UpdateFunc: func(_, object any) { set(object.(T)) },
		DeleteFunc: func(object any) {
			if last, unknown := object.(cache.DeletedFinalStateUnknown); unknown {
				object = last.Obj
			}
			if gone != nil {
				gone(object.(T))
			}
		},
	})
	if err != nil {
		fatal("informer", err)
	}
}
