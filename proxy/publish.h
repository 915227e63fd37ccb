/*
 * publish.h: how a configuration becomes the one that everybody uses (control_reload, control_set and control_config
 * are declared in control.h).
 * Thread: control.
 */
#ifndef SLUICE_PUBLISH_H
#define SLUICE_PUBLISH_H

#include "proxy/control.h"

/* The configuration that the process starts with; takes over the caller's reference. 0, or -1 with every reason logged.
 */
int publish_first(struct config *c, const struct control_flags *flags);
/* Servers that are to be kept ready for forced users: their targets are made. */
void publish_targets(void);
/* One more server for each target that has fewer than min_pool_size. Once a second. */
void publish_keep_ready(void);
/* -t: what cannot be seen in the file alone (certificates, hba and ident files). 0, or -1 with every reason logged. */
int publish_test(struct config *c);
void publish_free(void);

#endif
