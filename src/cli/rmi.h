/* rmi.h - removing an image by whatever verb: rmi, and rm by its serial name. */
#ifndef CLI_RMI_H
#define CLI_RMI_H

#include "cli/open.h"

/* Removes the image, or a name of it, and prints what went as docker does; flags as image_remove()'s. */
int cli_remove_image(struct cli *cli, struct engine *engine, const char *name, unsigned flags, struct err *e);

#endif
