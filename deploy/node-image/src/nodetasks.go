package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

const (
	provisioner = "rancher.io/local-path" // the name that k3s' storage class has; the code is ours
	storageDir  = "/var/lib/rancher/k3s/storage"

	provisionerAnnotation   = "volume.kubernetes.io/storage-provisioner"
	selectedNodeAnnotation  = "volume.kubernetes.io/selected-node"
	provisionedByAnnotation = "pv.kubernetes.io/provisioned-by"
	nodeAnnotation          = "portcullis.dev/node"
)

// nodeTasks runs on every node, beside kube-proxy: routes to the other nodes' pods, and the volumes of the storage class on this node.
func nodeTasks() {
	client := mustClient("/etc/kubernetes/node-tasks.conf")
	ctx := context.Background()
	for { // the server binds our role as soon as its API is there; informers that ask before wait in long back-off
		if _, err := client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{}); err == nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	_, err := os.Stat(adminKubeconfig)
	v := &volumes{client: client, node: os.Getenv("NODE_NAME"), isServer: err == nil}
	r := &routes{node: v.node, via: map[string]string{}}

	factory := informers.NewSharedInformerFactory(client, time.Minute)
	handle(factory.Core().V1().Nodes().Informer(), r.set, r.remove)
	handle(factory.Core().V1().PersistentVolumeClaims().Informer(), func(claim *corev1.PersistentVolumeClaim) {
		if err := v.provision(ctx, claim); err != nil {
			klog.ErrorS(err, "provision", "claim", klog.KObj(claim)) // the next resync tries again
		}
	}, nil)
	handle(factory.Core().V1().PersistentVolumes().Informer(), func(volume *corev1.PersistentVolume) { v.release(ctx, volume) }, nil)
	factory.Start(ctx.Done())
}

// routes to the pods of other nodes lead over their addresses; nodes of a cluster share a network.
type routes struct {
	node string
	via  map[string]string // pod range -> address
}

func (r *routes) set(node *corev1.Node) {
	if node.Name == r.node || node.Spec.PodCIDR == "" {
		return
	}
	for _, address := range node.Status.Addresses {
		if address.Type != corev1.NodeInternalIP || net.ParseIP(address.Address).To4() == nil || r.via[node.Spec.PodCIDR] == address.Address {
			continue
		}
		out, err := exec.Command("ip", "route", "replace", node.Spec.PodCIDR, "via", address.Address).CombinedOutput()
		if err == nil {
			r.via[node.Spec.PodCIDR] = address.Address
		}
		klog.InfoS("route", "node", node.Name, "range", node.Spec.PodCIDR, "via", address.Address, "err", err, "out", string(out))
	}
}

func (r *routes) remove(node *corev1.Node) {
	_ = exec.Command("ip", "route", "del", node.Spec.PodCIDR).Run() // it may never have been set
	delete(r.via, node.Spec.PodCIDR)
}

// volumes of the class local-path are folders of the node that the pod is scheduled to.
type volumes struct {
	client   *kubernetes.Clientset
	node     string
	isServer bool
}

func (v *volumes) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || claim.Spec.StorageClassName == nil || claim.Annotations[provisionerAnnotation] != provisioner {
		return nil
	}
	class, err := v.client.StorageV1().StorageClasses().Get(ctx, *claim.Spec.StorageClassName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if class.Provisioner != provisioner || !v.isOurs(class, claim.Annotations[selectedNodeAnnotation]) {
		return nil
	}
	volume := localVolume(class, claim, v.node)
	if err := os.MkdirAll(volume.Spec.HostPath.Path, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(volume.Spec.HostPath.Path, 0o777); err != nil { // whatever the umask: pods run as anybody
		return err
	}
	_, err = v.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// isOurs: the scheduler has chosen this node; a class that binds at once lets nobody choose, and the server takes it.
func (v *volumes) isOurs(class *storagev1.StorageClass, selected string) bool {
	if selected != "" {
		return selected == v.node
	}
	immediate := class.VolumeBindingMode == nil || *class.VolumeBindingMode == storagev1.VolumeBindingImmediate
	return v.isServer && immediate
}

func localVolume(class *storagev1.StorageClass, claim *corev1.PersistentVolumeClaim, node string) *corev1.PersistentVolume {
	name := "pvc-" + string(claim.UID)
	kind, mode, policy := corev1.HostPathDirectoryOrCreate, corev1.PersistentVolumeFilesystem, corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	onlyHere := corev1.NodeSelectorRequirement{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedByAnnotation: provisioner, nodeAnnotation: node}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    &mode,
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              class.Name,
			MountOptions:                  class.MountOptions,
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{
				Path: filepath.Join(storageDir, name+"_"+claim.Namespace+"_"+claim.Name), Type: &kind,
			}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{onlyHere}}},
			}},
		},
	}
}

// release deletes a volume of ours, with its data, when its claim has gone.
func (v *volumes) release(ctx context.Context, volume *corev1.PersistentVolume) {
	ours := volume.Annotations[provisionedByAnnotation] == provisioner && volume.Annotations[nodeAnnotation] == v.node
	released := volume.Status.Phase == corev1.VolumeReleased && volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
	// annotations are anybody's to write: only a folder right below ours is ever removed
	if !ours || !released || volume.Spec.HostPath == nil || filepath.Dir(volume.Spec.HostPath.Path) != storageDir {
		return
	}
	err := os.RemoveAll(volume.Spec.HostPath.Path)
	if err == nil {
		err = v.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
	}
	klog.InfoS("volume deleted", "volume", volume.Name, "err", err)
}
