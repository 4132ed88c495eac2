/* A port for libgphoto2 that looks like a USB bus with one Nikon D750 on it: what the driver writes
 * and reads goes over a Unix socket to `nikon.py`, one message for each transfer.
 *
 * PTP_CAMERA: the socket's path.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { OK = 0, ERROR = -1, TIMEOUT = -10, NOT_FOUND = -52, WRITE = -35, READ = -34, USB = 1 << 2 };
enum { NIKON = 0x04b0, D750 = 0x0437 };

typedef struct { int in, out, interrupt, config, interface, setting, packet; char port[64]; } Usb;
typedef union { Usb usb; char serial[144]; } Settings;
typedef struct { int type; Settings now, pending; int timeout_ms; } Port;
typedef struct Info *Info;
int gp_port_info_new(Info *);
int gp_port_info_set_type(Info, int);
int gp_port_info_set_name(Info, const char *);
int gp_port_info_set_path(Info, const char *);
int gp_port_info_list_append(void *, Info);

static int wire = -1;
static char transfer[1 << 20];
static int length, given;

static int nothing(Port *port) { return OK; }
static int halt(Port *port, int endpoint) { return OK; }
static int open_port(Port *port) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("PTP_CAMERA");
    if (!path || strlen(path) >= sizeof address.sun_path) return ERROR;
    strcpy(address.sun_path, path);
    wire = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    length = given = 0;
    return connect(wire, (struct sockaddr *) &address, sizeof address) ? ERROR : OK;
}
static int close_port(Port *port) {
    if (wire >= 0) close(wire);
    wire = -1;
    return OK;
}
static int write_port(Port *port, const char *bytes, int size) {
    return send(wire, bytes, size, MSG_NOSIGNAL) == size ? size : WRITE;
}
static int read_port(Port *port, char *bytes, int size) {
    if (given == length) {
        struct pollfd waiting = {.fd = wire, .events = POLLIN};
        if (poll(&waiting, 1, port->timeout_ms) <= 0) return TIMEOUT;
        length = recv(wire, transfer, sizeof transfer, 0);
        given = 0;
        if (length <= 0) { length = 0; return READ; }
    }
    if (size > length - given) size = length - given;
    memcpy(bytes, transfer + given, size);
    given += size;
    return size;
}
static int interrupt(Port *port, char *bytes, int size, int timeout_ms) {
    usleep(1000); /* this camera tells its events when it is asked */
    return TIMEOUT;
}
static int find(Port *port, int vendor, int product) {
    if (vendor != NIKON || product != D750) return NOT_FOUND;
    port->now.usb = (Usb){.in = 0x81, .out = 2, .interrupt = 0x83, .config = 1, .packet = 512};
    return OK;
}
static int find_class(Port *port, int class, int subclass, int protocol) { return NOT_FOUND; }

typedef struct {
    int (*init)(Port *), (*exit)(Port *), (*open)(Port *), (*close)(Port *);
    int (*read)(Port *, char *, int), (*check_int)(Port *, char *, int, int);
    int (*write)(Port *, const char *, int), (*update)(Port *);
    void *serial[4];
    int (*find_device)(Port *, int, int), (*find_device_by_class)(Port *, int, int, int);
    int (*clear_halt)(Port *, int);
    void *messages[8];
    int (*reset)(Port *);
} Operations;

int gp_port_library_type(void) { return USB; }
int gp_port_library_list(void *list) {
    static const char *names[][2] = {{"", "^usb:"}, {"Universal Serial Bus", "usb:001,001"}};
    for (int n = 0; n < 2; n++) {
        Info info;
        gp_port_info_new(&info);
        gp_port_info_set_type(info, USB);
        gp_port_info_set_name(info, names[n][0]);
        gp_port_info_set_path(info, names[n][1]);
        gp_port_info_list_append(list, info);
    }
    return OK;
}
Operations *gp_port_library_operations(void) {
    Operations *operations = calloc(1, sizeof *operations);
    *operations = (Operations){
        nothing, nothing, open_port, close_port, read_port, interrupt, write_port, nothing, {0},
        find, find_class, halt, {0}, nothing,
    };
    return operations;
}
