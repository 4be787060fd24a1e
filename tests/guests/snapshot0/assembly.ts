// A command for wasi_unstable, by the bindings that AssemblyScript 0.9 brings: their layouts and
// constants were written by others. Prints one line per thing it found; ends with 0 when all is
// as it must be. /data holds file.txt with "0123456789".
import {
  clocksubscription, errno, event, eventtype, fd_close, fd_filestat_get, fd_seek,
  fd_write, fdsubscription, filestat, filetype, lookupflags, path_filestat_get,
  path_open, poll_oneoff, proc_exit, rights, whence
} from "bindings/wasi_unstable";

const DATA: u32 = 3;

function print(text: string): void {
  const bytes = String.UTF8.encode(text + "\n");
  const vector = __alloc(8, 0);
  store<usize>(vector, changetype<usize>(bytes));
  store<usize>(vector, bytes.byteLength, 4);
  fd_write(1, vector, 1, vector);
}

function check(what: string, found: u64, wanted: u64): void {
  print(what + " " + found.toString());
  if (found == wanted) return;
  print("wrong: " + wanted.toString() + " was wanted");
  proc_exit(1);
}

function checkFile(what: string, stat: usize, size: u64, links: u64): void {
  const file = changetype<filestat>(stat);
  check(what + " type", file.filetype, filetype.REGULAR_FILE);
  check(what + " links", file.nlink, links);
  check(what + " size", file.size, size);
  check(what + " guard", load<u64>(stat, offsetof<filestat>()), 0x5a5a5a5a5a5a5a5a);
}

function seek(fd: u32, offset: i64, from: whence): u64 {
  const at = __alloc(8, 0);
  check("seek", fd_seek(fd, offset, from, at), 0);
  return load<u64>(at);
}

function poll(fd: u32): void {
  const size = offsetof<clocksubscription>();
  const subscriptions = __alloc(2 * size, 0);
  memory.fill(subscriptions, 0xee, 2 * size);
  const clock = changetype<clocksubscription>(subscriptions);
  clock.userdata = 7;
  clock.type = eventtype.CLOCK;
  clock.clock_id = 1;
  clock.timeout = 1000000;
  clock.precision = 0;
  clock.flags = 0;
  const events = __alloc(2 * offsetof<event>(), 0);
  const count = __alloc(4, 0);
  check("poll clock", poll_oneoff(subscriptions, events, 1, count), 0);
  check("events", load<u32>(count), 1);
  check("userdata", changetype<event>(events).userdata, 7);
  check("error", changetype<event>(events).error, 0);
  const read = changetype<fdsubscription>(subscriptions + size);
  read.userdata = 8;
  read.type = eventtype.FD_READ;
  read.fd = fd;
  clock.timeout = 60000000000;
  check("poll two", poll_oneoff(subscriptions, events, 2, count), 0);
  check("events", load<u32>(count), 1);
  check("userdata", changetype<event>(events).userdata, 8);
}

export function _start(): void {
  const name = String.UTF8.encode("file.txt");
  const nameSize = name.byteLength;
  const stat = __alloc(offsetof<filestat>() + 8, 0);
  memory.fill(stat, 0x5a, offsetof<filestat>() + 8);
  check("path_filestat_get",
        path_filestat_get(DATA, lookupflags.SYMLINK_FOLLOW, changetype<usize>(name), nameSize,
                          changetype<filestat>(stat)), 0);
  checkFile("path", stat, 10, 1);
  const fd = __alloc(4, 0);
  check("path_open",
        path_open(DATA, lookupflags.SYMLINK_FOLLOW, changetype<usize>(name), nameSize, 0,
                  rights.FD_READ | rights.FD_SEEK | rights.FD_TELL | rights.FD_FILESTAT_GET |
                  rights.POLL_FD_READWRITE, 0, 0, fd), 0);
  const file = load<u32>(fd);
  memory.fill(stat, 0x5a, offsetof<filestat>() + 8);
  check("fd_filestat_get", fd_filestat_get(file, changetype<filestat>(stat)), 0);
  checkFile("fd", stat, 10, 1);
  check("from the end", seek(file, -3, whence.END), 7);
  check("from here", seek(file, 2, whence.CUR), 9);
  check("from the start", seek(file, 4, whence.SET), 4);
  check("bad whence", fd_seek(file, 0, 3, fd), errno.INVAL);
  poll(file);
  check("fd_close", fd_close(file), 0);
  print("all right");
}

// Where AssemblyScript's own checks end.
function give_up(message: string | null, file: string | null, line: u32, column: u32): void {
  proc_exit(2);
}
