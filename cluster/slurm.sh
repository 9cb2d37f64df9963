#!/bin/bash
# A sweep on a Ray cluster of its own, as a Slurm job. From the top folder, with the environment that has distmarl active:
#   sbatch cluster/slurm.sh sweeps/paper.yaml --out /shared/paper
# The folders of distmarl and of its environment, and --out, lie on a disk that all nodes share.
#SBATCH --job-name=distmarl
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --no-kill
#SBATCH --requeue
#SBATCH --open-mode=append
# --signal: two minutes before the time is up, this script is told, so that the sweep ends in order.
# --no-kill: a lost node costs the tasks that it was running, not the job. --requeue: so does preemption.
set -euo pipefail

# Ray's processes obey whoever shows the token: this job has one of its own, which its nodes inherit.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
# When it is told to end, nothing of what it still runs is needed.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0

# Ports and a private folder of its own, since nodes can be shared. (The path must be short: sockets lie in it.)
folder=$(mktemp -d "/tmp/ray-$SLURM_JOB_ID-XXXX")
read -r gcs_port client_port < <(python -c '
import socket
sockets = [socket.create_server(("", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in sockets))')
address=$(hostname):$gcs_port
node_options=(--block --num-cpus="$SLURM_CPUS_PER_TASK" --dashboard-agent-listen-port=0)

# Of Ray's own messages only those of something wrong go into the job's log.
without_info() {
    grep --line-buffered -vE $'\t(INFO|SUCC) ' || true
}

# The workers take the end of their input as the sign to end in order, while there is a head that knows them.
head='' workers='' driver=''
end() {
    exec 9>&-
    if [[ -n $workers ]] && ! timeout 20 tail --pid="$workers" -f /dev/null; then
        kill "$workers" # A node is lost, and Slurm does not know yet.
    fi
    for process in $driver $head; do
        kill "$process" 2>/dev/null || true # What has ended by itself cannot be ended.
    done
    wait
    rm -rf "$folder"
}
trap end EXIT

# The head is this node, the first of the job. No dashboard: nothing needs it here.
ray start --head --port="$gcs_port" --ray-client-server-port="$client_port" --temp-dir="$folder/ray" \
    --include-dashboard=false "${node_options[@]}" > >(without_info) 2>&1 &
head=$!
until ray status --address="$address" &>/dev/null; do
    kill -0 "$head" # Ends this script if the head could not start.
    sleep 1
done

# One worker on each of the other nodes, where Ray's folder has the same name. (A signal to srun would kill them all.)
n_workers=$((SLURM_JOB_NUM_NODES - 1))
if ((n_workers > 0)); then
    mkfifo "$folder/input"
    # It outlives a SIGTERM, which ends `cat` and Ray, to tidy up. A Ray that waits for a head that is gone is killed.
    # shellcheck disable=SC2016 # The inner shell expands these.
    srun --nodes="$n_workers" --ntasks="$n_workers" --relative=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \
        --no-kill --kill-on-bad-exit=0 --wait=0 \
        bash -c 'umask 077; trap : TERM; ray start "${@:2}" & cat; kill $!
            timeout 10 tail --pid=$! -f /dev/null || kill -9 $!; wait; rm -rf "$1"' worker \
        "$folder" --address="$address" "${node_options[@]}" <"$folder/input" > >(without_info) 2>&1 &
    workers=$!
    exec 9>"$folder/input"
fi

# The driver. SIGTERM goes on to it; it then keeps what is done and ends, and so does this script. When Slurm takes the
# whole job, Ray has had the signal, too: what is done is kept already, and nothing more comes.
RAY_ADDRESS=$address python -m distmarl.sweep "$@" &
driver=$!
stop() {
    trap '' TERM # Once is enough: bash gets lost in a handler that is called within itself.
    kill "$driver" 2>/dev/null || true
    while kill -0 "$driver" && kill -0 "$head"; do sleep 0.5; done 2>/dev/null
    kill -9 "$driver" 2>/dev/null || true
    wait "$driver"
}
trap stop TERM
wait "$driver"
