#!/usr/bin/env bash
# hosts.sh COUNT MPIRUN... : runs it with one rank on each of COUNT imitated hosts: namespaces with
# a network interface and a host name of their own, on a bridge. They end with the script. Exits
# with 77 if namespaces are not permitted.
set -euo pipefail

# mpirun's agent, in place of ssh: hosts.sh --agent HOST COMMAND...
if [[ $1 == --agent ]]; then
  exec ip netns exec "$2" unshare --uts sh -c "hostname $2 && ${*:3}"
fi

# Processes are in a namespace too, so that none of them outlives the script, even if hosts are cut
# off.
own=(unshare --net --mount --pid --fork --kill-child --mount-proc)
((EUID == 0)) || own+=(--map-root-user)
if [[ ${HALNORM_HOSTS-} != inside ]]; then
  # the namespaces and devices that the script uses below
  try='mount -t tmpfs tmpfs /run && ip link add try0 type bridge && ip netns add host &&
    ip link add try1 type veth peer name try2 netns host &&
    ip netns exec host unshare --uts hostname host'
  if ! "${own[@]}" sh -c "$try"; then
    echo "skipped: without the command ip, or without the permission to make namespaces"
    exit 77
  fi
  HALNORM_HOSTS=inside exec "${own[@]}" "$0" "$@"
fi

count=$1 hosts=()
shift
mount -t tmpfs tmpfs /run # has names of namespaces and files of mpirun
ip link set lo up
ip link add hosts type bridge
ip address add 10.77.0.254/24 dev hosts
ip link set hosts up
for ((i = 1; i <= count; ++i)); do
  ip netns add "host$i"
  ip link add "veth$i" type veth peer name eth0 netns "host$i"
  ip link set "veth$i" master hosts up
  ip -n "host$i" address add "10.77.0.$i/24" dev eth0
  ip -n "host$i" link set eth0 up
  ip -n "host$i" link set lo up
  hosts+=("host$i")
done
network=10.77.0.0/24
mpirun=$1
shift
exec "$mpirun" --host "$(IFS=, && echo "${hosts[*]}")" -n "$count" --mca plm rsh \
  --mca plm_rsh_agent "$(realpath "$0") --agent" --mca oob_tcp_if_include "$network" \
  --mca btl tcp,self --mca pml ob1 --mca btl_tcp_if_include "$network" \
  --mca orte_tmpdir_base /run "$@"
