// Package process owns child processes: that they start as asked, are noticed
// when they die, and are gone when their owner is gone, however it went.
//
//  1. An Owner registers itself in a state folder and starts children. Each
//     child has a process group of its own, dies with the owner (the kernel
//     sends SIGKILL when the thread that started it ends), and, where that is
//     permitted, has a cgroup of its own with its limits.
//  2. A Process is one child: its exit is a closed channel with a reason, and
//     the last lines it wrote are kept for error messages.
//  3. Sweep removes what owners that are gone could not remove: processes,
//     cgroups and folders.
//
// With cgroup v2 the kernel creates a child inside its group. With cgroup v1 a
// child is started through Shim, a hidden subcommand of the program itself,
// which joins the groups and then becomes the child by exec.
//
// The package works on Linux; elsewhere it compiles, and NewOwner says so.
package process
