/* The calls of ZWO's ASI library that zwoasi makes, without a camera behind them.
 *
 * ASI_SPEED: exposures take their time divided by this.
 * ASI_FAULTS: a file of words, one a line; each exposure takes the first one out of it:
 *   failed, hang, working, removed, short, crash, slow-control, ok
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WIDTH 64
#define HEIGHT 48
enum { SUCCESS = 0, INVALID_ID = 2, INVALID_CONTROL = 3, CAMERA_REMOVED = 5, TIMEOUT = 11, GENERAL = 16 };
enum { GAIN = 0, EXPOSURE = 1, OFFSET = 5, TEMPERATURE = 8, MAX_GAIN = 10, MAX_EXP = 11, TARGET = 16, COOLER = 17 };
enum { IDLE = 0, WORKING = 1, DONE = 2, FAILED = 3 };

struct info {
    char name[64]; int id; long max_height, max_width; int color, bayer;
    int bins[16], formats[8]; double pixel_um; int shutter, st4, cooler, usb3_host, usb3;
    float e_per_adu; int bit_depth, trigger; char unused[16];
};
struct caps {
    char name[64], description[128]; long max, min, preset; int automatic, writable, type; char unused[32];
};
static struct { const char *name; long min, max, value; int type, automatic, writable; } controls[] = {
    {"Gain", 0, 510, 0, GAIN, 1, 1},          {"Exposure", 32, 2000000000, 10000, EXPOSURE, 1, 1},
    {"Offset", 0, 80, 8, OFFSET, 0, 1},       {"Temperature", -500, 1000, 123, TEMPERATURE, 0, 0},
    {"AutoExpMaxGain", 0, 510, 255, MAX_GAIN, 0, 1}, {"AutoExpMaxExpMS", 1, 60000, 100, MAX_EXP, 0, 1},
    {"TargetTemp", -40, 30, 0, TARGET, 0, 1}, {"CoolerOn", 0, 1, 0, COOLER, 0, 1},
};
enum { CONTROLS = sizeof controls / sizeof *controls };
static int width = WIDTH, height = HEIGHT, bins = 1, format = 2, x0, y0;
static char fault[32] = "ok";
static double ends_at;
static int exposing, slow_sets, video;
static unsigned taken;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
static double speed(void) {
    const char *text = getenv("ASI_SPEED");
    return text ? atof(text) : 1.0;
}
static void next_fault(void) {
    const char *path = getenv("ASI_FAULTS");
    char rest[65536];
    size_t length = 0;
    FILE *file = path ? fopen(path, "r") : NULL;
    strcpy(fault, "ok");
    if (!file) return;
    if (fgets(fault, sizeof fault, file)) {
        fault[strcspn(fault, "\n")] = 0;
        length = fread(rest, 1, sizeof rest, file);
    }
    fclose(file);
    file = fopen(path, "w");
    fwrite(rest, 1, length, file);
    fclose(file);
}
static int at(int type) {
    for (int n = 0; n < CONTROLS; n++) if (controls[n].type == type) return n;
    return -1;
}
int ASIGetNumOfConnectedCameras(void) { return getenv("ASI_ABSENT") && !access(getenv("ASI_ABSENT"), F_OK) ? 0 : 1; }
int ASIGetCameraProperty(struct info *info, int id) {
    if (id) return INVALID_ID;
    memset(info, 0, sizeof *info);
    strcpy(info->name, "ZWO ASI294MC Pro");
    info->max_height = HEIGHT; info->max_width = WIDTH; info->color = 1; info->bayer = 0;
    info->bins[0] = 1; info->bins[1] = 2; info->formats[0] = 0; info->formats[1] = 2; info->formats[2] = -1;
    info->pixel_um = 4.63; info->cooler = 1; info->e_per_adu = 3.8f; info->bit_depth = 14;
    return SUCCESS;
}
int ASIOpenCamera(int id) { return id ? INVALID_ID : SUCCESS; }
int ASIInitCamera(int id) { return id ? INVALID_ID : SUCCESS; }
int ASICloseCamera(int id) { return id ? INVALID_ID : SUCCESS; }
int ASIGetNumOfControls(int id, int *number) { *number = CONTROLS; return SUCCESS; }
int ASIGetControlCaps(int id, int n, struct caps *caps) {
    if (n < 0 || n >= CONTROLS) return INVALID_CONTROL;
    memset(caps, 0, sizeof *caps);
    strcpy(caps->name, controls[n].name);
    caps->min = controls[n].min; caps->max = controls[n].max; caps->preset = controls[n].min;
    caps->automatic = controls[n].automatic; caps->writable = controls[n].writable; caps->type = controls[n].type;
    return SUCCESS;
}
int ASIGetControlValue(int id, int type, long *value, int *automatic) {
    if (at(type) < 0) return INVALID_CONTROL;
    *value = controls[at(type)].value; *automatic = 0;
    return SUCCESS;
}
int ASISetControlValue(int id, int type, long value, int automatic) {
    if (at(type) < 0) return INVALID_CONTROL;
    if (slow_sets > 0) { slow_sets--; return SUCCESS; } /* "doesn't always take" */
    controls[at(type)].value = value;
    return SUCCESS;
}
int ASIGetROIFormat(int id, int *w, int *h, int *b, int *f) { *w = width; *h = height; *b = bins; *f = format; return SUCCESS; }
int ASISetROIFormat(int id, int w, int h, int b, int f) { width = w; height = h; bins = b; format = f; return SUCCESS; }
int ASIGetStartPos(int id, int *x, int *y) { *x = x0; *y = y0; return SUCCESS; }
int ASISetStartPos(int id, int x, int y) { x0 = x; y0 = y; return SUCCESS; }
int ASIStartExposure(int id, int dark) {
    next_fault();
    if (!strcmp(fault, "removed")) return CAMERA_REMOVED;
    if (!strcmp(fault, "crash")) abort();
    exposing = 1;
    ends_at = now() + controls[at(EXPOSURE)].value / 1e6 / speed();
    return SUCCESS;
}
int ASIStopExposure(int id) { exposing = 0; return SUCCESS; }
int ASIGetExpStatus(int id, int *status) {
    if (!strcmp(fault, "hang")) for (;;) pause();
    if (!strcmp(fault, "working") || (exposing && now() < ends_at)) { *status = WORKING; return SUCCESS; }
    *status = !strcmp(fault, "failed") ? FAILED : exposing ? DONE : IDLE;
    return SUCCESS;
}
static void picture(unsigned short *pixels, long number) {
    /* The level grows with exposure and gain; each frame differs. */
    double level = 500 + controls[at(EXPOSURE)].value / 1e6 * 2000 * (1 + controls[at(GAIN)].value / 100.0);
    taken++;
    for (long n = 0; n < number; n++) {
        double value = level + (n * 7919u + taken * 104729u) % 97;
        pixels[n] = value > 65535 ? 65535 : (unsigned short) value;
    }
}
int ASIGetDataAfterExp(int id, unsigned char *buffer, long size) {
    if (!strcmp(fault, "short")) return TIMEOUT;
    picture((unsigned short *) buffer, size / 2);
    exposing = 0;
    if (!strcmp(fault, "slow-control")) slow_sets = 2;
    return SUCCESS;
}
int ASIStartVideoCapture(int id) { video = 0; return SUCCESS; }
int ASIStopVideoCapture(int id) { return SUCCESS; }
int ASIGetVideoData(int id, unsigned char *buffer, long size, int wait_ms) {
    /* Automatic exposure: half way to the target with each frame. */
    long *exposure = &controls[at(EXPOSURE)].value;
    long limit = controls[at(MAX_EXP)].value * 1000, wanted = 4000000 < limit ? 4000000 : limit;
    *exposure = video++ > 20 ? wanted : *exposure + (wanted - *exposure) / 2;
    memset(buffer, 0, size);
    return SUCCESS;
}
/* What zwoasi looks up when it loads the library and this program never calls. */
int ASIGetDroppedFrames(void) { return SUCCESS; }
int ASIEnableDarkSubtract(void) { return SUCCESS; }
int ASIDisableDarkSubtract(void) { return SUCCESS; }
int ASIPulseGuideOn(void) { return SUCCESS; }
int ASIPulseGuideOff(void) { return SUCCESS; }
int ASIGetID(void) { return SUCCESS; }
int ASISetID(void) { return SUCCESS; }
int ASIGetGainOffset(void) { return SUCCESS; }
int ASISetCameraMode(void) { return SUCCESS; }
int ASIGetCameraMode(void) { return SUCCESS; }
int ASIGetCameraSupportMode(void) { return SUCCESS; }
int ASISendSoftTrigger(void) { return SUCCESS; }
int ASISetTriggerOutputIOConf(void) { return SUCCESS; }
int ASIGetTriggerOutputIOConf(void) { return SUCCESS; }
