/** The ping that everybody sends and the answer that everybody gives: two strings of about 30 bytes, as between clouds. */
export const serverCloudId = 'east-cloud-of-the-benchmark-run';
export const clientCloudId = 'west-cloud-of-the-benchmark-run';
export const requestData = 'are-you-there-0123456789abcdef';
export const responseData = 'pong';
