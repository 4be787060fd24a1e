/* Calls every function that the C library declares, never in earnest: what counts is that the
 * imports, with the library's idea of their types, are found. */
#include <wasi/api.h>

static void call_all(void)
{
    static uint8_t bytes[100];
    static uint8_t *pointers[10];
    static __wasi_size_t size;
    static __wasi_timestamp_t time;
    static __wasi_fdstat_t fdstat;
    static __wasi_filestat_t filestat;
    static __wasi_prestat_t prestat;
    static __wasi_iovec_t iovec;
    static __wasi_ciovec_t ciovec;
    static __wasi_filesize_t position;
    static __wasi_fd_t fd;
    static __wasi_subscription_t subscription;
    static __wasi_event_t event;
    static __wasi_roflags_t flags;
    (void)__wasi_args_get(pointers, bytes);
    (void)__wasi_args_sizes_get(&size, &size);
    (void)__wasi_environ_get(pointers, bytes);
    (void)__wasi_environ_sizes_get(&size, &size);
    (void)__wasi_clock_res_get(0, &time);
    (void)__wasi_clock_time_get(0, 0, &time);
    (void)__wasi_fd_advise(0, 0, 0, 0);
    (void)__wasi_fd_allocate(0, 0, 0);
    (void)__wasi_fd_close(0);
    (void)__wasi_fd_datasync(0);
    (void)__wasi_fd_fdstat_get(0, &fdstat);
    (void)__wasi_fd_fdstat_set_flags(0, 0);
    (void)__wasi_fd_fdstat_set_rights(0, 0, 0);
    (void)__wasi_fd_filestat_get(0, &filestat);
    (void)__wasi_fd_filestat_set_size(0, 0);
    (void)__wasi_fd_filestat_set_times(0, 0, 0, 0);
    (void)__wasi_fd_pread(0, &iovec, 1, 0, &size);
    (void)__wasi_fd_prestat_get(0, &prestat);
    (void)__wasi_fd_prestat_dir_name(0, bytes, 1);
    (void)__wasi_fd_pwrite(0, &ciovec, 1, 0, &size);
    (void)__wasi_fd_read(0, &iovec, 1, &size);
    (void)__wasi_fd_readdir(0, bytes, 1, 0, &size);
    (void)__wasi_fd_renumber(0, 0);
    (void)__wasi_fd_seek(0, 0, 0, &position);
    (void)__wasi_fd_sync(0);
    (void)__wasi_fd_tell(0, &position);
    (void)__wasi_fd_write(0, &ciovec, 1, &size);
    (void)__wasi_path_create_directory(0, "");
    (void)__wasi_path_filestat_get(0, 0, "", &filestat);
    (void)__wasi_path_filestat_set_times(0, 0, "", 0, 0, 0);
    (void)__wasi_path_link(0, 0, "", 0, "");
    (void)__wasi_path_open(0, 0, "", 0, 0, 0, 0, &fd);
    (void)__wasi_path_readlink(0, "", bytes, 1, &size);
    (void)__wasi_path_remove_directory(0, "");
    (void)__wasi_path_rename(0, "", 0, "");
    (void)__wasi_path_symlink("", 0, "");
    (void)__wasi_path_unlink_file(0, "");
    (void)__wasi_poll_oneoff(&subscription, &event, 1, &size);
    (void)__wasi_sched_yield();
    (void)__wasi_random_get(bytes, 1);
    (void)__wasi_sock_accept(0, 0, &fd);
    (void)__wasi_sock_recv(0, &iovec, 1, 0, &size, &flags);
    (void)__wasi_sock_send(0, &ciovec, 1, 0, &size);
    (void)__wasi_sock_shutdown(0, 0);
    __wasi_proc_exit(1);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 100)
        call_all();
    return 0;
}
