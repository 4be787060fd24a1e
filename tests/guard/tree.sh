# Makes the fake root `tree` of the golden cases: a v2 hierarchy in which the slice above binds.
set -e
v2=tree/sys/fs/cgroup
mkdir -p tree/proc/self tree/proc/77 tree/proc/pressure $v2/node.slice/node.service
for pid in self 77; do
    echo 0::/node.slice/node.service >tree/proc/$pid/cgroup
    echo '31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw' >tree/proc/$pid/mountinfo
done
put() { echo "$2" >$v2/$1; }
put node.slice/node.service/memory.max max
put node.slice/node.service/memory.current 1610612736
put node.slice/node.service/memory.high 2147483648
put node.slice/node.service/memory.stat 'active_file 268435456
inactive_file 134217728
file_dirty 1048576'
put node.slice/memory.max 2147483648
put node.slice/memory.current 1744830464
put node.slice/memory.swap.max 1073741824
put node.slice/memory.swap.current 1048576
put node.slice/memory.stat 'active_file 268435456
inactive_file 134217728
unevictable 8192'
put node.slice/memory.events 'low 0
high 3
max 2
oom 1
oom_kill 1'
put node.slice/memory.pressure 'some avg10=1.50 avg60=0.80 avg300=0.20 total=123456
full avg10=0.75 avg60=0.40 avg300=0.10 total=65432'
