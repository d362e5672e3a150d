/** A commented `glancesync.conf` with every option, that loads as it is. */

const options: readonly (readonly [option: string, example: string, says: string])[] = [
  [
    'user',
    'glancesync',
    'Login at the Keystone of this target. What is missing of the four comes from credential and, for master, from the environment.',
  ],
  ['password', 'secret', 'In clear; keep this file to yourself.'],
  ['tenant', 'admin', 'Project whose images are ours.'],
  ['keystone_url', 'http://keystone.example:5000/v3', 'Its Keystone.'],
  [
    'metadata_condition',
    "image.is_public and 'type' in image.user_properties",
    "Which of the master's images are wanted, in Python's words. Without it: public ones, that have a property of metadata_set if that is not empty.",
  ],
  ['metadata_set', 'nid, type', 'Properties that are kept equal; empty: all.'],
  ['forcesyncs', '', "Ids of the master's images that are wanted in any case."],
  ['dontupdate', '', 'Checksums of images in the region that stay although the content differs.'],
  ['replace', '', 'Checksums of those that are replaced; any: all.'],
  ['rename', '', 'Checksums of those that are put aside as NAME.old, private, before the new one comes; any: all.'],
  ['only_tenant_images', 'True', 'Images of other projects in the region count as not there.'],
  ['support_obsolete_images', 'True', 'What the master calls NAME_obsolete is called so in the region, too.'],
  ['obsolete_syncprops', '', 'Properties that such images get from the master.'],
  ['ignore_regions', '', 'Regions that are synchronised only if they are named.'],
  [
    'tenant_id',
    '',
    'Id of the project, where tenant does not name it. In a scenario it is the name of the tenant with "id" behind it, unless this says otherwise.',
  ],
  ['list_images_timeout', '30', 'Seconds for a listing; without it, as long as the service answers.'],
  ['use_keystone_v3', 'False', 'Without effect: it is always v3.'],
];

const commented = options.flatMap(([option, example, says]) => [`# ${says}`, `# ${option} = ${example}`.trimEnd(), '']);

export const sampleGlancesyncConf: string = `${[
  '# Configuration of GlanceSync, as "alliance image" reads it. A line that begins with a blank goes on with the value before it.',
  '',
  '[main]',
  '# Region of target master whose images go to all others. Without it, OS_REGION_NAME counts.',
  'master_region = RegionOne',
  '',
  '# Regions that come first where they are not named one by one.',
  '# preferable_order = RegionTwo, other:RegionOne',
  '',
  '# Regions at a time.',
  '# max_children = 1',
  '',
  '# Without effect, in GlanceSync too.',
  '# images_dir = /var/lib/glance/images',
  '',
  '[DEFAULT]',
  '# What stands here holds for all targets that do not say otherwise.',
  '',
  ...commented,
  '[master]',
  '# user,base64 of the password,URL of Keystone,tenant: another way to write a login.',
  'credential = glancesync,c2VjcmV0,http://keystone.example:5000/v3,admin',
  '',
  '# Any other section is a target with a Keystone of its own; its regions are called other:RegionOne.',
  '# [other]',
  '# credential = glancesync,c2VjcmV0,http://keystone.other.example:5000/v3,admin',
].join('\n')}\n`;
