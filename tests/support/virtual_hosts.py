"""Machines made of namespaces: each has its own network, host name, process ids and /dev/shm, and a cable (veth) to a
switch (bridge) that all share. mpirun reaches them through an agent script in place of ssh. Needs root and iproute2.

    with VirtualHosts(2) as hosts:
        hosts.run(0, ["mpirun", "--hostfile", hosts.hostfile(2, [0, 1]), "hostname"])
"""
import os
import shlex
import shutil
import subprocess
import tempfile

# Inside a new host: mounts are private to it, so nothing of this is seen outside. $1 is its name, $2 its hosts file.
ENTER = """
hostname "$1"
mount --bind "$2" /etc/hosts
mount -t tmpfs -o size=1g tmpfs /dev/shm
mount -t proc proc /proc
shift 2
"""

UNSHARE = ["unshare", "--uts", "--mount", "--ipc", "--pid", "--fork", "--kill-child"]


def why_not():
    """What is missing for virtual hosts here, or None."""
    if os.geteuid() != 0:
        return "virtual hosts need root"
    for program in ("ip", "unshare", "mpirun"):
        if not shutil.which(program):
            return f"virtual hosts need the program {program}"
    probe = f"colonnade-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"virtual hosts need network namespaces: {made.stderr.strip()}"
    joined = subprocess.run(["ip", "netns", "exec", probe, *UNSHARE, "true"], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "delete", probe], capture_output=True, check=False)
    return None if joined.returncode == 0 else f"virtual hosts need namespaces: {joined.stderr.strip()}"


class VirtualHosts:
    def __init__(self, n_hosts):
        tag = f"{os.getpid() % 100000:x}"
        self.names = [f"col{tag}h{i}" for i in range(n_hosts)]
        self.bridge = f"col{tag}br"
        self.addresses = [f"10.77.{os.getpid() % 250}.{i + 1}" for i in range(n_hosts)]
        self.folder = tempfile.mkdtemp(prefix="colonnade-hosts-")
        self._processes = []

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self._processes:
            if process.poll() is None:
                process.kill()  # unshare --kill-child takes the whole host with it
            process.wait()
        for name in [*self.names, self.bridge]:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _build(self):
        ip = lambda *arguments: subprocess.run(["ip", *arguments], check=True)
        # The switch lives in a namespace of its own, so that the real machine's network stays as it is.
        ip("netns", "add", self.bridge)
        ip("-n", self.bridge, "link", "add", "name", "switch", "type", "bridge")
        ip("-n", self.bridge, "link", "set", "switch", "up")
        for i, (name, address) in enumerate(zip(self.names, self.addresses)):
            ip("netns", "add", name)
            ip("-n", self.bridge, "link", "add", f"port{i}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", self.bridge, "link", "set", f"port{i}", "master", "switch", "up")
            ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "eth0", "up")
        lines = ["127.0.0.1 localhost", *(f"{a} {n}" for a, n in zip(self.addresses, self.names))]
        self._write("hosts", "\n".join(lines) + "\n")
        self._write("enter.sh", ENTER + 'exec "$@"\n')
        # mpirun calls: agent HOST COMMAND-LINE…, as it would call ssh.
        self._write("agent.sh", f'#!/bin/sh\nhost="$1"\nshift\nexec {shlex.join(self._enter("@"))} sh -c "$*"\n'
                    .replace("@", '"$host"'), 0o755)

    def _write(self, name, content, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(path, mode)

    def _enter(self, name):
        return ["ip", "netns", "exec", name, *UNSHARE, "sh", "-e", f"{self.folder}/enter.sh", name, f"{self.folder}/hosts"]

    def hostfile(self, slots, hosts):
        """The path of a host file with these hosts (by number)."""
        self._write("hostfile", "".join(f"{self.names[host]} slots={slots}\n" for host in hosts))
        return os.path.join(self.folder, "hostfile")

    def environment(self):
        return {**os.environ, "OMPI_MCA_plm_rsh_agent": f"{self.folder}/agent.sh", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def run(self, host, command, timeout=120):
        """Runs a command on one host and waits; returns (status, stdout, stderr)."""
        process = self._start(host, command, subprocess.PIPE, subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{shlex.join(command)}: no end after {timeout} s\n{out}\n{err}") from None
        return process.returncode, out, err

    def start(self, host, command):
        """Starts a command on one host, which lives at most as long as the hosts. Returns the Popen and the path of
        the file with what it prints."""
        path = os.path.join(self.folder, f"output{len(self._processes)}")
        with open(path, "w", encoding="utf-8") as output:
            return self._start(host, command, output, output), path

    def _start(self, host, command, out, err):
        process = subprocess.Popen([*self._enter(self.names[host]), *command], stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=err, text=True, env=self.environment())
        self._processes.append(process)
        return process

    def cut(self, host, connected=False):
        """Pulls (or plugs in) a host's cable."""
        subprocess.run(["ip", "-n", self.bridge, "link", "set", f"port{host}", "up" if connected else "down"], check=True)
