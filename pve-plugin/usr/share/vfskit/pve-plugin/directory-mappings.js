// SPDX-License-Identifier: Apache-2.0
//
// Shows vfskit's two properties of a directory mapping in Proxmox VE's web interface: fields in the
// window in which a mapping is made or edited, and a column in the list. What is not as it was when
// this was tested stays without them. No strict mode: ExtJS's callParent() asks who calls.
(function () {
    const window_class = 'PVE.window.DirMapEditWindow';
    const list_class = 'PVE.dc.DirMapView';
    const combo_box = 'proxmoxKVComboBox';

    // '__default__' is what the combo box shows for a property that is not set.
    const properties = {
        'live-migration-method': {
            label: 'Live migration',
            choices: [
                ['__default__', 'Not possible'],
                ['find-paths', 'find-paths: open files are found by their names'],
                ['file-handles', 'file-handles: on one shared file system only'],
            ],
        },
        'path-relation': {
            label: 'Paths of nodes',
            choices: [
                ['__default__', 'Default (taken for copies)'],
                ['same-directory', 'One directory of a shared file system'],
                ['replicas', 'Copies of a directory'],
            ],
        },
    };
    const names = Object.keys(properties);

    function warn(what, error) {
        console.warn(`vfskit: ${what} is left as Proxmox VE has it: ${error}`);
    }

    // A list as the API takes it, from what forms and the API have for one: nothing, a word, words.
    function words(value) {
        return [value ?? []].flat().flatMap((text) => text.split(','));
    }

    // Proxmox VE shows the comment in the same windows: when a mapping is made, and when it is edited
    // as a whole and not for one node.
    function make_field(name) {
        return {
            xtype: combo_box,
            name,
            fieldLabel: properties[name].label,
            comboItems: properties[name].choices,
            value: '__default__',
            deleteEmpty: true,
            cbind: { disabled: '{hideComment}', hidden: '{hideComment}' },
        };
    }

    // What the form says of our properties: {name: value}, '' where there is to be none. A field that
    // is not shown says nothing.
    function take_out(values) {
        const cleared = words(values.delete).filter((name) => names.includes(name));
        const left = words(values.delete).filter((name) => !names.includes(name));
        const ours = Object.fromEntries(cleared.map((name) => [name, '']));
        const rest = { ...values };
        delete rest.delete;
        if (left.length > 0) {
            rest.delete = left;
        }
        for (const name of names.filter((known) => known in rest)) {
            ours[name] = rest[name];
            delete rest[name];
        }
        return [ours, rest];
    }

    // Adds to what is sent to the API what differs from what came from there.
    function put_in(request, ours, loaded) {
        const changed = Object.keys(ours).filter((name) => ours[name] !== (loaded[name] ?? ''));
        const cleared = changed.filter((name) => ours[name] === '');
        for (const name of changed.filter((set) => ours[set] !== '')) {
            request[name] = ours[name];
        }
        if (cleared.length > 0) {
            request.delete = [...words(request.delete), ...cleared].join(',');
        }
        return request;
    }

    function extend_panel(panel) {
        const { onGetValues, onSetValues } = panel;
        let loaded = {};
        return {
            ...panel,
            columnB: [...panel.columnB, ...names.map(make_field)],
            onSetValues: function (values) {
                loaded = { ...values };
                return onSetValues.call(this, values);
            },
            onGetValues: function (values) {
                const [ours, rest] = take_out(values);
                return put_in(onGetValues.call(this, rest), ours, loaded);
            },
        };
    }

    function is_known_panel(item) {
        return (
            item.xtype === 'inputpanel' &&
            Array.isArray(item.columnB) &&
            typeof item.onGetValues === 'function' &&
            typeof item.onSetValues === 'function'
        );
    }

    // The window's items with our fields.
    function extend_items(items) {
        if (items.length !== 1 || !is_known_panel(items[0])) {
            throw new Error('it is not built as it was');
        }
        if (names.some((name) => JSON.stringify(items).includes(`"${name}"`))) {
            throw new Error('it has such a field already');
        }
        return items.map(extend_panel);
    }

    function extend_window() {
        Ext.define('vfskit.DirMapEditWindow', {
            override: window_class,
            initComponent: function () {
                try {
                    this.items = extend_items(this.items);
                } catch (error) {
                    warn('the window for directory mappings', error);
                }
                this.callParent(arguments);
            },
        });
    }

    function extend_list() {
        Ext.define('vfskit.DirMapView', {
            override: list_class,
            initComponent: function () {
                const name = names[0];
                if (Array.isArray(this.columns) && !this.columns.some((column) => column.dataIndex === name)) {
                    const renderer = (value) => Ext.String.htmlEncode(value ?? '');
                    const text = properties[name].label;
                    this.columns = [...this.columns, { text, dataIndex: name, width: 140, renderer }];
                }
                this.callParent(arguments);
            },
        });
    }

    try {
        for (const name of [window_class, list_class]) {
            if (!Ext.ClassManager.get(name)) {
                throw new Error(`there is no '${name}'`);
            }
        }
        if (!Ext.ClassManager.getByAlias(`widget.${combo_box}`)) {
            throw new Error(`there is no '${combo_box}'`);
        }
        extend_window();
        extend_list();
    } catch (error) {
        warn('the view of directory mappings', error);
    }
})();
