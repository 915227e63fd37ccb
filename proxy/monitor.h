/*
 * monitor.h: control asks the nodes of every cluster with several hosts for their roles and positions, and publishes
 * the primary.
 * Thread: control.
 */
#ifndef SLUICE_MONITOR_H
#define SLUICE_MONITOR_H

#include "conf/options.h"
#include "pool/cluster.h"
#include "pool/probe.h"

/* A configuration is about to be published; from: the one before, or NULL. Clusters that are new have no primary from
 * here on until all their nodes have been heard; asking begins with monitor_start. */
void monitor_configure(const struct config *from, const struct config *to);
/* Asks with the published configuration; again after each publication. */
void monitor_start(void);
/* A host name was resolved. */
void monitor_resolved(void);
void monitor_free(void);
/* How monitor_user reaches a node at this address (borrowed, as all that it points to): for others who ask. */
struct probe_target monitor_target(const struct node *n, const struct address *a);
/* How a node is asked, in a word, for SHOW NODES. */
const char *monitor_state(const struct cluster *c, int node);

#endif
