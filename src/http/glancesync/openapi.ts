/** The API as an OpenAPI 3.1 document; a test holds it against what is answered. */
import { imageRestLimits } from '../../core/limits.ts';
import { taskStatuses } from './service.ts';

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const body = (name: string) => ({ 'application/json': { schema: ref(name) } });
const answer = (description: string, name: string) => ({ description, content: body(name) });
const fault = (name: string) => ({ $ref: `#/components/responses/${name}` });

const faults = {
  '400': fault('BadRequest'),
  '401': fault('Unauthorized'),
  '410': fault('BadRegion'),
  '500': fault('Failed'),
  '503': fault('Unavailable'),
};
const missing = { '404': fault('NotFound') };

const text = (description: string) => ({ type: 'string', description });
const object = (properties: Record<string, object>) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

const inPath = (name: string, description: string, example: string) => ({
  ...{ name, in: 'path', required: true, description, example },
  schema: { type: 'string', minLength: 1, maxLength: imageRestLimits.nameCharacters },
});
const region = inPath('region', 'Name of the region, such as `Burgos`, or `other:Madrid` of another target.', 'Burgos');
const task = inPath('task', 'Id of the task.', '3f0c2b62-5d0e-4a35-9a2e-0f1c5f0a7d11');
const image = (description: string) => ({
  ...{ name: 'image', in: 'query', required: false, description },
  schema: { type: 'string', minLength: 1, maxLength: imageRestLimits.nameCharacters },
});

const statuses = [
  ...['ok', 'ok_stalled_checksum', 'pending_upload', 'pending_replace', 'pending_rename'],
  ...['pending_metadata', 'pending_ami', 'error_ami', 'error_checksum'],
];

const taskProperties = {
  taskId: text('Id of the task; it is that of the execution, as `alliance execution show` knows it.'),
  status: { type: 'string', enum: taskStatuses },
};

const schemas = {
  Version: object({
    id: text('Version of the API.'),
    owner: text('Who made what serves it.'),
    status: { type: 'string', const: 'SUPPORTED' },
    version: text('Version of what serves it.'),
    updated: { type: 'string', format: 'date-time' },
    runningfrom: { type: 'string', format: 'date-time' },
    href: text('Where this document is.'),
  }),
  Images: object({
    images: {
      type: 'array',
      items: object({
        id: { type: ['string', 'null'], description: 'Id in the region; null where the image is not there.' },
        name: text('Name of the image in the master.'),
        status: { type: 'string', enum: statuses },
        message: { type: ['string', 'null'], description: 'Why it is not as it should be.' },
      }),
    },
  }),
  Started: object(taskProperties),
  Task: object({
    ...taskProperties,
    message: { type: ['string', 'null'], description: 'Why it failed, or what it left undone.' },
  }),
  Fault: object({
    error: object({ message: text('For people.'), code: { type: 'integer', description: 'The status.' } }),
  }),
};

const responses = {
  BadRequest: answer('The request is malformed, or the task still runs.', 'Fault'),
  Unauthorized: answer('There is no token, it is not valid, or has not the role that is needed.', 'Fault'),
  NotFound: answer('There is no such image or task.', 'Fault'),
  BadMethod: answer('The path has no such method.', 'Fault'),
  BadRegion: answer('There is no such region.', 'Fault'),
  Failed: answer('It failed here; the log of the broker says why.', 'Fault'),
  Unavailable: answer('Keystone or Glance does not answer, or too much is going on.', 'Fault'),
};

export const openApi = (version: string) => ({
  openapi: '3.1.0',
  info: {
    title: 'GlanceSync REST API, version 1',
    version,
    description:
      'Images of a master region in other regions: their state, and syncs. Every path also answers 405 (`BadMethod`) to other methods.',
  },
  servers: [{ url: '/glancesync' }],
  security: [{ token: [] }],
  paths: {
    '/': {
      get: { operationId: 'getVersion', security: [], responses: { '200': answer('This API.', 'Version') } },
    },
    '/openapi.json': {
      get: {
        ...{ operationId: 'getDocument', security: [] },
        responses: {
          '200': { description: 'This document.', content: { 'application/json': { schema: { type: 'object' } } } },
        },
      },
    },
    '/regions/{region}': {
      parameters: [region],
      get: {
        operationId: 'getImages',
        parameters: [image('Only the image of this name.')],
        responses: { '200': answer('The selected images, smallest first.', 'Images'), ...faults, ...missing },
      },
      post: {
        operationId: 'startSync',
        parameters: [image('Only the image of this name, and what it needs.')],
        responses: { '200': answer('The task that was begun, or that runs already.', 'Started'), ...faults },
      },
    },
    '/regions/{region}/tasks/{task}': {
      parameters: [region, task],
      get: {
        operationId: 'getTask',
        responses: { '200': answer('How far it is.', 'Task'), ...faults, ...missing },
      },
      delete: {
        operationId: 'deleteTask',
        responses: { '200': { description: 'It is forgotten; without a body.' }, ...faults, ...missing },
      },
    },
  },
  components: {
    schemas,
    responses,
    securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' } },
  },
});
